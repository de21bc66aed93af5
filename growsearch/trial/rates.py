"""What an epoch's steps are taken with: a pure function of the trial, its history and the phase."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from growsearch.trial.config import TrialConfig
from growsearch.trial.history import FINE_TUNING, INITIALIZING, History
from growsearch.trial.optimizer_changes import value_after

STAIRS = (Fraction(1, 2), Fraction(3, 4))
"""Parts of a staircase after which the learning rate falls (AutoGrow, section 3)."""


class Rates(NamedTuple):
    """What an epoch's steps are taken with."""

    lr: float
    weight_decay: float


def rates(trial: TrialConfig, history: History, phase: str) -> Rates:
    """The rates of the epoch that follows `history`, in `phase`."""
    epoch, changes = len(history.trained), trial.optimizer_changes
    decay = value_after(epoch, "weight_decay", trial.weight_decay, changes)
    return Rates(learning_rate(trial, history, phase), decay)


def learning_rate(trial: TrialConfig, history: History, phase: str) -> float:
    """The learning rate of the epoch that follows `history`, in `phase`."""
    history = history.trained
    lr = value_after(len(history), "lr", trial.lr, trial.optimizer_changes)
    if phase == INITIALIZING and trial.initializer and trial.initializer.apart_lr is not None:
        return trial.initializer.apart_lr
    if phase == FINE_TUNING:
        assert trial.policy.finetune_epochs
        tuned = sum(record.phase == FINE_TUNING for record in history)
        return staircase(tuned, trial.policy.finetune_epochs, lr, trial.task.baseline.stairs)
    return trial.lr_schedule.rate(trial, history, lr)


def staircase(epoch: int, epochs: int, lr: float, stairs: Sequence[Fraction] = STAIRS) -> float:
    """A tenth of the learning rate from each part `stairs` of `epochs` on (AutoGrow, section 3).

    It falls before the first epoch that has at least that part of `epochs` behind it: K/2 and 3K/4
    are rounded up. So the first epoch always has `lr`, as the paper says. AutoGrow's program rounds
    down: there an interval of one epoch has lr / 100, and one of three has lr, lr / 10, lr / 100
    instead of lr, lr, lr / 10. Both agree where 4 divides K, as in the paper's intervals of 100
    and 200 epochs.
    """
    return lr * 0.1 ** sum(epoch >= part * epochs for part in stairs)
