"""Cosine annealing, which may start anew at each growth or at given epochs."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi
from typing import Self

from growsearch.schedules.milestones import Milestones
from growsearch.trial.components import register
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import History
from growsearch.trial.kinds import Schedule

LR_MIN = 0.001
"""Where the cosines end, or at `lr` if that is less; LipGrow's program ends here."""


def adaptive_cosine(epoch: int, last_growth: int, epochs: int, lr: float) -> float:
    """Cosine annealing whose cycle starts at the last growth and spans the epochs left.

    lr_min + (lr - lr_min) / 2 * (1 + cos(pi * (epoch - last_growth) / (epochs - last_growth)))
    (LipGrow, section 4.4). `epoch` counts the epochs before, `last_growth` those before the last
    growth; 0 throughout is plain cosine annealing.
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


@register("lr_schedule", "adaptive-cosine", source="LipGrow, section 4.4")
@dataclass(frozen=True, kw_only=True)
class AdaptiveCosine(Schedule):
    """A cosine from the last growth to the trial's end."""

    reads_data = False

    def rate(self, trial: TrialConfig, history: History, lr: float) -> float:
        return adaptive_cosine(len(history), history.last_growth, trial.growing_epochs, lr)


@register("lr_schedule", "cosine", source="Loshchilov and Hutter 2016")
@dataclass(frozen=True, kw_only=True)
class Cosine(Schedule):
    """A cosine over all epochs, whatever grows."""

    reads_data = False

    def rate(self, trial: TrialConfig, history: History, lr: float) -> float:
        return adaptive_cosine(len(history), 0, trial.growing_epochs, lr)


@register("lr_schedule", "cosine-restarts", source="Loshchilov and Hutter 2016; Chang et al. 2017")
@dataclass(frozen=True, kw_only=True)
class CosineRestarts(Milestones):
    """A cosine that starts anew after each of lr_epochs, by default the growth epochs."""

    def completed(self, trial: TrialConfig) -> Self:
        planned = trial.values().get("growth_epochs")
        filled = self.with_defaults(lr_epochs=planned)
        if not filled.lr_epochs:
            raise InputError(
                "lr_schedule 'cosine-restarts' needs lr_epochs, the epochs after which the "
                "learning rate changes: give one or more, like 60 110"
            )
        filled.check_rising(trial)
        return filled

    def rate(self, trial: TrialConfig, history: History, lr: float) -> float:
        return cosine_restarts(len(history), self.lr_epochs or (), trial.growing_epochs, lr)
