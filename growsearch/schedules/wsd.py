"""Learning rates that stay the same until they fall at the end, or fall from the beginning."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from growsearch.schedules.final import ToFinal
from growsearch.trial.components import register
from growsearch.trial.config import TrialConfig
from growsearch.trial.course import SHAPES, Fall
from growsearch.trial.errors import InputError
from growsearch.trial.history import History
from growsearch.trial.options import option


@dataclass(frozen=True, kw_only=True)
class Falling(ToFinal):
    """A schedule that falls step by step."""

    @property
    def falls(self) -> bool:
        return True

    def rate(self, trial: TrialConfig, history: History, lr: float) -> float:
        return lr


@register("lr_schedule", "wsd", source="Hägele et al. 2024; Bu 2025 (arXiv 2511.04981)")
@dataclass(frozen=True, kw_only=True)
class WSD(Falling):
    """Warm-up, a constant learning rate, and a decay over the last `decay` of the epochs.

    Trials that differ in `epochs` share all epochs before the decay. A step of the decay has the
    rate lr * (final_lr + (1 - final_lr) * f(x)), where x is the part of the decay that is over in
    the middle of the step, and f(x) is 1 - x, 1 - sqrt(x) or (1 + cos(pi x)) / 2.
    """

    decay: float = option(
        0.1, "the last part of the epochs, in which the learning rate falls: below 1 their share, "
        "from 1 on their number", above=0, keyed_at_default=False,
    )  # fmt: skip
    decay_shape: str = option(
        "linear", "how it falls there", choices=tuple(SHAPES), keyed_at_default=False
    )

    def completed(self, trial: TrialConfig) -> Self:
        if self.decay >= trial.growing_epochs:
            raise InputError(
                f"decay={self.decay:g} leaves nothing of the {trial.growing_epochs} epochs before "
                "it; give fewer, or a share of them, like 0.1"
            )
        return super().completed(trial)

    def _begin(self, trial: TrialConfig) -> Fraction:
        """When the decay begins, exactly: 0.1 is a tenth, so that whole epochs stay whole."""
        decay = Fraction(str(self.decay))
        return trial.growing_epochs - (decay * trial.growing_epochs if decay < 1 else decay)

    def fall(self, trial: TrialConfig, history: History, lr: float) -> Fall:
        begin, end = float(self._begin(trial)), float(trial.growing_epochs)
        return Fall(self.decay_shape, begin, end, self.last(lr))

    def full_epochs(self, trial: TrialConfig) -> float:
        return float(self._begin(trial))

    def parts_after(self, trial: TrialConfig) -> int | None:
        return int(self._begin(trial)) or None


@register("lr_schedule", "linear", source="Bergsma et al. 2025 (arXiv 2502.15938)")
@dataclass(frozen=True, kw_only=True)
class Linear(Falling):
    """A straight line from the end of warm-up to the trial's end."""

    def fall(self, trial: TrialConfig, history: History, lr: float) -> Fall:
        return Fall("linear", self.warmup, float(trial.growing_epochs), self.last(lr))
