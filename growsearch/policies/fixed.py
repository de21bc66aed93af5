"""Policies that grow after epochs that are known beforehand."""

from bisect import bisect_right
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate
from typing import Self

from growsearch.trial.architecture import Architecture
from growsearch.trial.components import register
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import History
from growsearch.trial.kinds import Grow, Policy, Stage
from growsearch.trial.optimizer_changes import check_rising
from growsearch.trial.options import option

LIPGROW_EPOCHS = 164
"""Epochs of a trial in LipGrow's paper (section 5.2)."""


def proportion(epochs_of_164: int, epochs: int) -> int:
    """As many of `epochs` as LipGrow's paper has of its 164; at least 1."""
    return max(round(epochs * epochs_of_164 / LIPGROW_EPOCHS), 1)


def in_epochs(given: float, epochs: int) -> int:
    """A growth epoch that may be given as a share of all `epochs`.

    Raises InputError for a share that rounds to none of them, or to all.
    """
    if given >= 1:
        return int(given)
    rounded = round(Fraction(str(given)) * epochs)
    if not 0 < rounded < epochs:
        raise InputError(
            f"growth_epochs {given:g} is {rounded} of epochs={epochs}: a network grows after an "
            "epoch and trains on; give another share, or more epochs"
        )
    return rounded


@register("policy", "fixed")
@dataclass(frozen=True, kw_only=True)
class Fixed(Policy):
    """Grow after each of the given epochs, by default to twice the depth."""

    label = "sampled"
    growth_epochs: tuple[int, ...] | None = option(
        None, "grow after these epochs; numbers below 1 are shares of all epochs, like 0.8",
        shares=True,
        default_help="hand-tuned: 60 and 110 of 164 epochs, in that proportion",
    )  # fmt: skip
    growth_architectures: tuple[str, ...] | None = option(
        None, "what to grow to, one for each of the growth epochs", parse=Architecture,
        default_help="twice the depth each time; from none to one block",
    )  # fmt: skip

    def decide(self, trial: TrialConfig, history: History) -> Grow | None:
        targets = dict(zip(self._epochs, self.growth_architectures or (), strict=True))
        if len(history) in targets:
            return Grow(Architecture(targets[len(history)]), "scheduled")
        return None

    def certain(self, trial: TrialConfig, history: History) -> Grow | None:
        return self.decide(trial, history)

    def known_epochs(self, trial: TrialConfig) -> int:
        return trial.epochs

    @property
    def _epochs(self) -> tuple[int, ...]:
        return self.growth_epochs or ()

    def completed(self, trial: TrialConfig) -> Self:
        if not self._epochs:
            raise InputError("policy 'fixed' needs growth_epochs: give one or more, like 60 110")
        return replace(
            self, growth_epochs=tuple(in_epochs(given, trial.epochs) for given in self._epochs)
        )._with_architectures(trial)

    def _with_architectures(self, trial: TrialConfig) -> Self:
        reason = "a network grows after an epoch and trains on"
        check_rising("growth_epochs", self._epochs, trial.epochs, reason)
        seed = Architecture(trial.architecture)
        deeper = accumulate(self._epochs, lambda last, _: last.deepened(), initial=seed)
        usual = tuple(map(str, deeper))[1:]
        filled = replace(self, growth_architectures=self.growth_architectures or usual)
        filled._check_architectures(trial)
        return filled

    def _check_architectures(self, trial: TrialConfig) -> None:
        targets = self.growth_architectures or ()
        if len(targets) != len(self._epochs):
            raise InputError(
                f"growth_architectures {' '.join(targets)} must be as many as the "
                f"growth_epochs {' '.join(map(str, self._epochs))}: one for each"
            )
        before = Architecture(trial.architecture)
        for given in targets:
            after = trial.task.checked("growth_architectures", given)
            if after == before or not before.fits_in(after):
                raise InputError(
                    f"growth_architectures {given!r} does not grow out of {before}: each must be "
                    "deeper than the one before, and nowhere shallower"
                )
            before = after

    def stage(self, trial: TrialConfig, epoch: int) -> Stage:
        ends = [0, *self._epochs, trial.epochs]
        last = bisect_right(ends, epoch)
        begin = ends[last - 1]
        return Stage(begin, ends[last] - begin, trial.task.baseline.stairs)

    def earliness(self) -> tuple[float, ...]:
        return self._epochs


@register("policy", "hand-tuned", source="Chang et al. 2017; LipGrow, section 5.5")
@dataclass(frozen=True, kw_only=True)
class HandTuned(Fixed):
    """Grow after the epochs that were found by trial, unless others are given."""

    label = "hand-tuned"

    def completed(self, trial: TrialConfig) -> Self:
        usual = sorted({proportion(60, trial.epochs), proportion(110, trial.epochs)})
        fitting = tuple(epoch for epoch in usual if epoch < trial.epochs)
        if not self._epochs and not fitting:
            raise InputError(
                f"policy 'hand-tuned' cannot grow within epochs={trial.epochs}; give 2 or more"
            )
        return super(HandTuned, self.with_defaults(growth_epochs=fitting)).completed(trial)
