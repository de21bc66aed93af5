"""What an epoch's steps are taken with: a pure function of the trial, its history and the phase."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import fsum
from typing import NamedTuple

from growsearch.trial.amount import as_amount
from growsearch.trial.config import TrialConfig
from growsearch.trial.course import Course
from growsearch.trial.errors import InputError
from growsearch.trial.history import FINE_TUNING, INITIALIZING, History
from growsearch.trial.optimizer_changes import value_after
from growsearch.trial.options import shortened

STAIRS = (Fraction(1, 2), Fraction(3, 4))
"""Parts of a staircase after which the learning rate falls (AutoGrow, section 3)."""


class Rates(NamedTuple):
    """What an epoch's steps are taken with."""

    lr: float
    """The mean over the steps, which records have."""
    weight_decay: float
    lrs: tuple[float, ...] | None = None
    """The learning rate of each step; None if all have `lr`."""


class PlannedRates(NamedTuple):
    """The rates of an epoch as they are known without data: how many steps it has is left open.

    Epochs of equal planned rates have equal rates, in trials of the same data and batch size.
    """

    lr: float | Course
    weight_decay: float

    def taken(self, steps: Callable[[], int | None]) -> Rates:
        """The rates in an epoch of `steps()` steps, which is called only where it counts.

        Raises InputError if it counts and `steps` returns None or less than 1.
        """
        if not isinstance(self.lr, Course):
            return Rates(self.lr, self.weight_decay)
        count = steps()
        if count is None or count < 1:
            raise InputError(
                f"the learning rate changes within epochs, and the task's steps() is {count}; "
                "return the number of training steps of an epoch, or choose a schedule without "
                "warmup that changes from epoch to epoch"
            )
        lrs = self.lr.by_step(count)
        if len(set(lrs)) == 1:
            return Rates(lrs[0], self.weight_decay)
        return Rates(fsum(lrs) / count, self.weight_decay, lrs)


def rates(trial: TrialConfig, history: History, phase: str) -> PlannedRates:
    """The rates of the epoch that follows `history`, in `phase`."""
    epoch, changes = len(history.trained), trial.optimizer_changes
    decay = value_after(epoch, "weight_decay", trial.weight_decay, changes)
    return PlannedRates(learning_rate(trial, history, phase), decay)


def learning_rate(trial: TrialConfig, history: History, phase: str) -> float | Course:
    """The learning rate of the epoch that follows `history`, in `phase`.

    An epoch that initializes new blocks has the rates of the epoch that follows it, unless the
    initializer has its own. Raises InputError if the schedule gives one that is no finite number
    of at least 0.
    """
    history = history.trained
    lr = value_after(len(history), "lr", trial.lr, trial.optimizer_changes)
    if phase == INITIALIZING and trial.initializer and trial.initializer.apart_lr is not None:
        return trial.initializer.apart_lr
    if phase == FINE_TUNING:
        assert trial.policy.finetune_epochs
        tuned = sum(record.phase == FINE_TUNING for record in history)
        return staircase(tuned, trial.policy.finetune_epochs, lr, trial.task.baseline.stairs)
    return _checked(trial.lr_schedule.rates(trial, history, lr), trial.lr_schedule.name)


def _checked(found: float | Course, schedule: str) -> float | Course:
    """`found` with its rates as floats of Python: saved states hold no numbers of numpy."""
    if not isinstance(found, Course):
        return _rate(found, schedule)
    fall = found.fall and found.fall._replace(last=_rate(found.fall.last, schedule))
    return found._replace(rate=_rate(found.rate, schedule), fall=fall)


def _rate(value: object, schedule: str) -> float:
    if (rate := as_amount(value)) is None:
        raise InputError(
            f"lr_schedule {schedule!r} gave the learning rate {shortened(value)}; return a finite "
            "number of at least 0"
        )
    return rate


def staircase(epoch: int, epochs: int, lr: float, stairs: Sequence[Fraction] = STAIRS) -> float:
    """A tenth of the learning rate from each part `stairs` of `epochs` on (AutoGrow, section 3).

    It falls before the first epoch that has at least that part of `epochs` behind it: K/2 and 3K/4
    are rounded up. So the first epoch always has `lr`, as the paper says. AutoGrow's program rounds
    down: there an interval of one epoch has lr / 100, and one of three has lr, lr / 10, lr / 100
    instead of lr, lr, lr / 10. Both agree where 4 divides K, as in the paper's intervals of 100
    and 200 epochs.
    """
    return lr * 0.1 ** sum(epoch >= part * epochs for part in stairs)
