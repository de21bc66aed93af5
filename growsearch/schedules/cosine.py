"""Cosine annealing, which may start anew at each growth or at given epochs.

With warm-up, the first cosine begins where it ends.
"""

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi
from typing import Self

from growsearch.schedules.final import ToFinal
from growsearch.schedules.milestones import Milestones
from growsearch.trial.components import register
from growsearch.trial.config import TrialConfig
from growsearch.trial.course import Fall
from growsearch.trial.errors import InputError
from growsearch.trial.history import History
from growsearch.trial.options import option

LR_MIN = 0.001
"""Where the cosines end, or at `lr` if that is less; LipGrow's program ends here."""


def adaptive_cosine(
    epoch: float, last_growth: float, epochs: int, lr: float, last: float | None = None
) -> float:
    """Cosine annealing whose cycle starts at the last growth and spans the epochs left.

    lr_min + (lr - lr_min) / 2 * (1 + cos(pi * (epoch - last_growth) / (epochs - last_growth)))
    (LipGrow, section 4.4). `epoch` counts the epochs before, `last_growth` those before the last
    growth; 0 throughout is plain cosine annealing. lr_min is `last`, or LR_MIN.
    """
    progress = (epoch - last_growth) / (epochs - last_growth)
    lr_min = min(LR_MIN, lr) if last is None else last
    return lr_min + (lr - lr_min) / 2 * (1 + cos(pi * progress))


def cycle_of(epoch: int, restarts: Sequence[int], epochs: int) -> tuple[int, int]:
    """The restart before the epoch that follows `epoch` epochs, and the one after it, or the end.

    Cosines go from each restart to the next (Loshchilov and Hutter 2016); Chang et al. (2017)
    restart them where they grow.
    """
    ends = [*restarts, epochs]
    cycle = bisect_right(ends, epoch)
    return [0, *restarts][cycle], ends[cycle]


@dataclass(frozen=True, kw_only=True)
class Cosines(ToFinal):
    """A schedule of cosines, one after the other."""

    usual_last = LR_MIN
    lr_per: str = option(
        "epoch", "how often a cosine changes the learning rate", choices=("epoch", "step"),
        keyed_at_default=False,
    )  # fmt: skip

    @property
    def falls(self) -> bool:
        return self.lr_per == "step"

    @abstractmethod
    def cycle(self, trial: TrialConfig, history: History) -> tuple[int, int]:
        """The epochs before the cosine of the epoch that follows `history`, and before its end."""

    def rate(self, trial: TrialConfig, history: History, lr: float) -> float:
        begin, end = self.cycle(trial, history)
        if self.falls or len(history) < self.warmup:
            return lr
        return adaptive_cosine(len(history), max(begin, self.warmup), end, lr, self.last(lr))

    def fall(self, trial: TrialConfig, history: History, lr: float) -> Fall | None:
        if not self.falls:
            return None
        begin, end = self.cycle(trial, history)
        return Fall("cosine", float(max(begin, self.warmup)), float(end), self.last(lr))


@register("lr_schedule", "adaptive-cosine", source="LipGrow, section 4.4")
@dataclass(frozen=True, kw_only=True)
class AdaptiveCosine(Cosines):
    """A cosine from the last growth to the trial's end."""

    def cycle(self, trial: TrialConfig, history: History) -> tuple[int, int]:
        return history.last_growth, trial.growing_epochs


@register("lr_schedule", "cosine", source="Loshchilov and Hutter 2016")
@dataclass(frozen=True, kw_only=True)
class Cosine(Cosines):
    """A cosine over all epochs, whatever grows."""

    def cycle(self, trial: TrialConfig, history: History) -> tuple[int, int]:
        return 0, trial.growing_epochs


@register("lr_schedule", "cosine-restarts", source="Loshchilov and Hutter 2016; Chang et al. 2017")
@dataclass(frozen=True, kw_only=True)
class CosineRestarts(Cosines, Milestones):
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

    def cycle(self, trial: TrialConfig, history: History) -> tuple[int, int]:
        return cycle_of(len(history), self.lr_epochs or (), trial.growing_epochs)

    def full_epochs(self, trial: TrialConfig) -> float:
        return self.cycle(trial, History())[1]
