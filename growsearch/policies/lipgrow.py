"""LipGrow's policies (ICML 2020, section 4.2): grow when the Lipschitz constant has risen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Self, cast

from growsearch.policies.capped import Capped
from growsearch.policies.fixed import proportion
from growsearch.trial.architecture import Architecture
from growsearch.trial.components import register
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import History
from growsearch.trial.kinds import Grow
from growsearch.trial.options import option

WINDOW = 10
GROWTHS = 2
"""Doublings to the final depth, unless max_architecture is given (LipGrow, section 5.2)."""


@register("policy", "lipschitz", source="LipGrow, section 4.2")
@dataclass(frozen=True, kw_only=True)
class LipGrow(Capped):
    """Double the depth of all sub-networks when the mean Lipschitz constant has risen by rtol.

    The constant is smoothed over the last `window` epochs of the present depth. Its baseline is
    its first smoothed value at this depth: the paper's "first epoch", but read once the running
    statistics have settled; baseline "first-epoch" follows the paper literally. A growth that is
    still due is forced when no more than `reserve` epochs for the last depth and `window` for
    each depth between remain.
    """

    label = "lipgrow"
    reads = ("lipschitz",)
    rtol: float = option(
        1.4, "grow when the smoothed constant exceeds its baseline by this factor", above=0
    )
    window: int | None = option(
        None, "epochs that the constant is averaged over", least=1,
        default_help="10, fewer where not every depth before the last has twice as many epochs",
    )  # fmt: skip
    baseline: str = option(
        "window", "what the smoothed constant is compared with, its own first value or the first "
        "epoch's, since the last growth", choices=("window", "first-epoch"),
    )  # fmt: skip
    reserve: int | None = option(
        None, "epochs kept for the final depth, whose growth is forced if need be",
        least=1, default_help="30 of 164 epochs, in that proportion",
    )  # fmt: skip

    def completed(self, trial: TrialConfig) -> Self:
        seed = Architecture(trial.architecture)
        filled = self.with_defaults(reserve=proportion(30, trial.epochs))
        assert filled.reserve is not None
        if self.max_architecture is None:
            growths = GROWTHS
            if self.reserve is None and self.window is None:
                while _reserved(filled.reserve, growths, window=1) >= trial.epochs:
                    growths -= 1
            filled = replace(filled, max_architecture=str(seed.doubled(growths)))
        else:
            cap = trial.task.checked("max_architecture", self.max_architecture)
            growths = seed.doublings_to(cap)
        assert filled.reserve is not None
        # twice the window at each depth: so the constant can rise before a growth is forced
        fits = max((trial.epochs - 1 - filled.reserve) // max(2 * growths, 1), 1)
        filled = filled.with_defaults(window=min(WINDOW, fits))
        assert filled.window is not None and filled.reserve is not None
        reserved = _reserved(filled.reserve, growths, filled.window)
        if reserved >= trial.epochs:
            raise InputError(
                f"reserve={filled.reserve} and window={filled.window} do not fit: {growths} "
                f"growths keep {reserved} of epochs={trial.epochs} for the deeper networks; lower "
                "reserve or window, or train longer"
            )
        return filled

    def decide(self, trial: TrialConfig, history: History) -> Grow | None:
        constants = [cast(float, record.lipschitz) for record in history.since_growth]
        return self._grow(trial, history, constants)

    def certain(self, trial: TrialConfig, history: History) -> Grow | None:
        return self._grow(trial, history, [])

    def known_epochs(self, trial: TrialConfig) -> int:
        assert self.window is not None
        return self.window + 1

    def earliness(self) -> tuple[float, ...]:
        return (self.rtol,)

    def _grow(
        self, trial: TrialConfig, history: History, constants: Sequence[float]
    ) -> Grow | None:
        """The growth by the constants of the present depth, or a forced one."""
        assert self.max_architecture is not None
        architecture = Architecture(history[-1].architecture)
        growths_left = architecture.doublings_to(Architecture(self.max_architecture))
        reason = self._reason(constants, growths_left, trial.epochs - len(history))
        return Grow(architecture.doubled(), reason) if reason else None

    def _reason(
        self, constants: Sequence[float], growths_left: int, epochs_left: int
    ) -> str | None:
        """Why to grow after `constants`, those of the present depth; None to train on."""
        assert self.window is not None
        assert self.reserve is not None
        if growths_left == 0:
            return None
        if len(constants) > self.window:
            first = 1 if self.baseline == "first-epoch" else self.window
            ratio = lipschitz_ratio(constants, self.window, first)
            if ratio > self.rtol:
                return f"Lipschitz ratio {ratio:.3f} > rtol {self.rtol:g}"
        if epochs_left <= _reserved(self.reserve, growths_left, self.window):
            return f"forced with {epochs_left} epoch{'s' * (epochs_left != 1)} left"
        return None


def lipschitz_ratio(constants: Sequence[float], window: int, first: int) -> float:
    """The mean of the last `window` constants over that of the `first` ones (section 4.2).

    NaN, above no rtol, if the latter is zero: its blocks compute a constant then.
    """
    baseline = fmean(constants[:first])
    return fmean(constants[-window:]) / baseline if baseline else math.nan


def _reserved(reserve: int, growths: int, window: int) -> int:
    """Epochs kept for the deeper networks after `growths` growths; 0 if none follow."""
    return reserve + (growths - 1) * window if growths else 0


@register("policy", "lipschitz-subnetworks", source="extends LipGrow, section 4.2")
@dataclass(frozen=True, kw_only=True)
class LipGrowSubnetworks(LipGrow):
    """Double each sub-network alone, by the rule of policy lipschitz on its own constant.

    The paper decides for all sub-networks together. Here a sub-network's window and baseline start
    anew when it has grown itself, not when another has.
    """

    def decide(self, trial: TrialConfig, history: History) -> Grow | None:
        return self._grow_each(trial, history, read=True)

    def certain(self, trial: TrialConfig, history: History) -> Grow | None:
        return self._grow_each(trial, history, read=False)

    def _grow_each(self, trial: TrialConfig, history: History, read: bool) -> Grow | None:
        """The growth by each sub-network's constants, where they are `read`, or a forced one."""
        assert self.max_architecture is not None
        blocks = Architecture(history[-1].architecture).blocks
        final = Architecture(self.max_architecture).blocks
        grown, reasons = list(blocks), []
        for i, (n, n_final) in enumerate(zip(blocks, final, strict=True)):
            constants = _constants_of(history, i, n) if read else []
            growths_left = Architecture([n]).doublings_to(Architecture([n_final]))
            reason = self._reason(constants, growths_left, trial.epochs - len(history))
            if reason:
                grown[i] = 2 * n
                reasons.append(f"sub-network {i + 1}: {reason}")
        return Grow(Architecture(grown), "; ".join(reasons)) if reasons else None


def _constants_of(history: History, subnetwork: int, depth: int) -> list[float]:
    """A sub-network's Lipschitz constants in the epochs in which it had this depth."""
    return [
        cast(tuple[float, ...], record.lipschitz_subnetworks)[subnetwork]
        for record in history
        if Architecture(record.architecture).blocks[subnetwork] == depth
    ]
