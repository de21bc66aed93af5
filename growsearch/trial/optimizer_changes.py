"""Another learning rate or weight decay from an epoch on, written like 10:lr=0.05."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from growsearch.trial.errors import InputError

if TYPE_CHECKING:
    from growsearch.trial.config import TrialConfig

CHANGEABLE = ("lr", "weight_decay")
"""Fields of a trial; of `lr`, that is the largest learning rate."""


class Change(NamedTuple):
    """After `epoch` epochs the field `name` has another value."""

    epoch: int
    name: str
    value: float

    def __str__(self) -> str:
        return f"{self.epoch}:{self.name}={self.value!r}"


def parse_change(text: object) -> Change:
    """InputError for text that is none."""
    epoch, _, rest = str(text).partition(":")
    name, _, value = rest.partition("=")
    try:
        change = Change(int(epoch), name, float(value))
    except ValueError:
        change = Change(0, name, math.nan)
    if change.epoch < 1 or name not in CHANGEABLE or not 0 < change.value < math.inf:
        raise InputError(
            f"{str(text)!r} is no change of {' or '.join(CHANGEABLE)}; give an epoch from 1 on, "
            "the name, and a value above 0, like 10:lr=0.05"
        )
    return change


def value_after(epoch: int, name: str, first: float, changes: Iterable[str] | None) -> float:
    """What field `name` is after `epoch` epochs of a trial that begins with `first`."""
    for change in map(parse_change, changes or ()):
        if change.name == name and change.epoch <= epoch:
            first = change.value
    return first


def check_changes(trial: "TrialConfig") -> None:
    """InputError unless the changes of each field rise and precede the trial's last epoch."""
    changes = [parse_change(change) for change in trial.optimizer_changes or ()]
    for name in CHANGEABLE:
        if epochs := [change.epoch for change in changes if change.name == name]:
            given = " ".join(trial.optimizer_changes or ())
            check_rising(
                "optimizer_changes", epochs, trial.epochs, "nothing is trained after the last",
                given,
            )  # fmt: skip


def check_rising(
    name: str, epochs: Sequence[int], last: int, reason: str, given: str | None = None
) -> None:
    """InputError, for `reason`, unless the epochs of option `name` rise and precede the `last`."""
    if list(epochs) != sorted(set(epochs)) or epochs[-1] >= last:
        raise InputError(
            f"{name} {given or ' '.join(map(str, epochs))} must rise and end before the last of "
            f"epochs={last}: {reason}"
        )
