"""Another largest learning rate from an epoch on, written like 10:0.05."""

import math
from dataclasses import dataclass

from growsearch.errors import InputError


@dataclass(frozen=True, init=False)
class LrChange:
    """After `epoch` epochs the largest learning rate is `lr`; InputError for other text."""

    epoch: int
    lr: float

    def __init__(self, text: object) -> None:
        epoch, _, lr = str(text).partition(":")
        try:
            object.__setattr__(self, "epoch", int(epoch))
            object.__setattr__(self, "lr", float(lr))
        except ValueError:
            object.__setattr__(self, "lr", math.nan)
        if not 0 < self.lr < math.inf or self.epoch < 1:
            raise InputError(
                f"{str(text)!r} is no change of the learning rate; give an epoch from 1 on and a "
                "learning rate above 0, like 10:0.05"
            )

    def __str__(self) -> str:
        return f"{self.epoch}:{self.lr!r}"


def largest_lr(lr: float, changes: tuple[str, ...] | None, epoch: int) -> float:
    """The largest learning rate after `epoch` epochs of a trial that begins with `lr`."""
    for change in map(LrChange, changes or ()):
        if change.epoch <= epoch:
            lr = change.lr
    return lr
