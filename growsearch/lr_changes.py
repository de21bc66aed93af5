"""Another largest learning rate from an epoch on, written like 10:0.05."""

import math
from typing import NamedTuple

from growsearch.errors import InputError


class LrChange(NamedTuple):
    """After `epoch` epochs the largest learning rate is `lr`."""

    epoch: int
    lr: float

    def __str__(self) -> str:
        return f"{self.epoch}:{self.lr!r}"


def parse_lr_change(text: object) -> LrChange:
    """InputError for text that is none."""
    epoch, _, lr = str(text).partition(":")
    try:
        change = LrChange(int(epoch), float(lr))
    except ValueError:
        change = LrChange(0, math.nan)
    if change.epoch < 1 or not 0 < change.lr < math.inf:
        raise InputError(
            f"{str(text)!r} is no change of the learning rate; give an epoch from 1 on and a "
            "learning rate above 0, like 10:0.05"
        )
    return change


def largest_lr(lr: float, changes: tuple[str, ...] | None, epoch: int) -> float:
    """The largest learning rate after `epoch` epochs of a trial that begins with `lr`."""
    for change in map(parse_lr_change, changes or ()):
        if change.epoch <= epoch:
            lr = change.lr
    return lr
