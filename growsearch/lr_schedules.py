"""Learning rates, and weight decay, as plain functions of the epoch and the growths so far.

`epoch` counts the epochs completed before the one whose learning rate is asked for.
"""

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from math import cos, pi
from typing import NamedTuple

from growsearch.choices import AUTOGROW
from growsearch.config import TrialConfig
from growsearch.history import FINE_TUNING, INITIALIZING, History
from growsearch.optimizer_changes import value_after

LR_MIN = 0.001
"""Where the cosines end, or at `lr` if that is less; LipGrow's program ends here."""
ADAM_LR = 0.001
"""Adam's learning rate while it trains new normalizations (AutoGrow's program)."""
STAIRS = (Fraction(1, 2), Fraction(3, 4))
IMAGENET_STAIRS = (Fraction(1, 3), Fraction(2, 3))
"""Parts of a staircase after which the learning rate falls (AutoGrow, section 3)."""


class Rates(NamedTuple):
    """What an epoch's steps are taken with."""

    lr: float
    weight_decay: float


def rates(config: TrialConfig, history: History, phase: str) -> Rates:
    """Those of the epoch that follows `history`, in `phase`."""
    epoch = len(history.trained)
    decay = value_after(epoch, "weight_decay", config.weight_decay, config.optimizer_changes)
    return Rates(learning_rate(config, history, phase), decay)


def learning_rate(config: TrialConfig, history: History, phase: str) -> float:
    """The learning rate of the epoch that follows `history`, in `phase`."""
    history = history.trained
    epoch, epochs = len(history), config.growing_epochs
    lr = value_after(epoch, "lr", config.lr, config.optimizer_changes)
    if phase == INITIALIZING and config.initializer == "adam":
        return ADAM_LR
    if phase == FINE_TUNING:
        assert config.finetune_epochs
        tuned = sum(record.phase == FINE_TUNING for record in history)
        return staircase(tuned, config.finetune_epochs, lr, stairs(config))
    match config.lr_schedule:
        case "adaptive-cosine":
            return adaptive_cosine(epoch, history.last_growth, epochs, lr)
        case "cosine":
            return adaptive_cosine(epoch, 0, epochs, lr)
        case "cosine-restarts":
            return cosine_restarts(epoch, config.lr_epochs or (), epochs, lr)
        case "step":
            return step(epoch, config.lr_epochs or (), lr)
        case "staircase" if config.policy in AUTOGROW:
            interval = config.interval_epochs
            return staircase(epoch % interval, interval, lr)
        case "staircase":
            ends = [0, *(config.growth_epochs or ()), epochs]
            stage = bisect_right(ends, epoch)
            begin = ends[stage - 1]
            return staircase(epoch - begin, ends[stage] - begin, lr, stairs(config))
        case _:
            return lr


def adaptive_cosine(epoch: int, last_growth: int, epochs: int, lr: float) -> float:
    """Cosine annealing whose cycle starts at the last growth and spans the epochs left.

    lr_min + (lr - lr_min) / 2 * (1 + cos(pi * (epoch - last_growth) / (epochs - last_growth)))
    (LipGrow, section 4.4). `last_growth` counts the epochs completed at the last growth; 0
    throughout is plain cosine annealing.
    """
    progress = (epoch - last_growth) / (epochs - last_growth)
    lr_min = min(LR_MIN, lr)
    return lr_min + (lr - lr_min) / 2 * (1 + cos(pi * progress))


def cosine_restarts(epoch: int, restarts: Sequence[int], epochs: int, lr: float) -> float:
    """Cosine annealing from each restart to the next (Loshchilov and Hutter 2016).

    Chang et al. (2017) restart it where they grow.
    """
    ends = [*restarts, epochs]
    cycle = bisect_right(ends, epoch)
    return adaptive_cosine(epoch, [0, *restarts][cycle], ends[cycle], lr)


def step(epoch: int, milestones: Sequence[int], lr: float) -> float:
    """A tenth of the learning rate after each milestone (He et al. 2016a)."""
    return lr * 0.1 ** bisect_right(milestones, epoch)


def staircase(epoch: int, epochs: int, lr: float, stairs: Sequence[Fraction] = STAIRS) -> float:
    """A tenth of the learning rate from each part `stairs` of `epochs` on (AutoGrow, section 3).

    It falls before the first epoch that has at least that part of `epochs` behind it: K/2 and 3K/4
    are rounded up. So the first epoch always has `lr`, as the paper says. AutoGrow's program rounds
    down: there an interval of one epoch has lr / 100, and one of three has lr, lr / 10, lr / 100
    instead of lr, lr, lr / 10. Both agree where 4 divides K, as in the paper's intervals of 100
    and 200 epochs.
    """
    return lr * 0.1 ** sum(epoch >= part * epochs for part in stairs)


def stairs(config: TrialConfig) -> tuple[Fraction, ...]:
    """Those of the data set's baseline: by thirds on ImageNet."""
    return IMAGENET_STAIRS if config.dataset == "imagenet" else STAIRS
