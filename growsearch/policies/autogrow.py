"""AutoGrow's policies (KDD 2020, algorithm 1), which grow one sub-network after the other.

They look at the running maximum of validation accuracy, in percent, over the whole trial: accuracy
has risen in W epochs unless that maximum rose by less than tau. Nothing is kept between epochs:
which sub-networks still grow, and which is next, is derived anew from the accuracies.
"""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple, Self, cast

from growsearch.policies.capped import Capped
from growsearch.trial.architecture import Architecture
from growsearch.trial.components import register
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import History
from growsearch.trial.kinds import Decision, FineTune, Grow, Proposals, Stage
from growsearch.trial.options import option
from growsearch.trial.rates import STAIRS

NO_MORE = "leaves no more for growing"
"""Why growth ended, if the trial's epochs ended it."""


class _Check(NamedTuple):
    """What the check at the end of an interval did."""

    grown: int | None
    """The sub-network that grew."""
    stopped: int | None
    """The sub-network that stopped growing."""


@dataclass(frozen=True, kw_only=True)
class AutoGrow(Capped):
    """What both of AutoGrow's policies share."""

    label = "autogrow"
    reads = ("accuracy",)
    interval: int | None = option(
        None, "epochs between growths (periodic: K), or between checks for one (convergent)",
        least=1, default_help="periodic: 3, on imagenet 2; convergent: half of --finetune-epochs, "
        "on imagenet a third",
    )  # fmt: skip
    tau: float = option(
        0.05, "the least rise of validation accuracy that counts, in percentage points",
        above=0, most=100,
    )  # fmt: skip
    finetune_epochs: int | None = option(
        None, "N, epochs that the found network is fine-tuned for, among --epochs", least=1,
        default_help="200, on imagenet 90; at most half of --epochs",
    )  # fmt: skip

    def proposals(self, trial: TrialConfig) -> Proposals:
        baseline = trial.task.baseline
        return {
            **super().proposals(trial),
            "architecture": str(Architecture([1] * len(trial.task.stacks))),
            "epochs": 5000,
            "lr": 0.1,
            "lr_schedule": "constant",
            "weight_decay": baseline.weight_decay,
            "image_size": baseline.image_size,
            "initializer": "gaussian",
            "placement": "end",
            "momentum_on_growth": "carry",
        }

    def completed(self, trial: TrialConfig) -> Self:
        baseline = trial.task.baseline
        if trial.epochs == 1:
            raise InputError(
                f"epochs=1 leaves policy {self.name!r} no epoch to grow in beside one of "
                "fine-tuning; give 2 or more"
            )
        fitting = min(baseline.epochs, trial.epochs // 2)
        filled = self.with_defaults(finetune_epochs=fitting)
        assert filled.finetune_epochs is not None
        filled = filled._timed(trial, max(int(filled.finetune_epochs * baseline.stairs[0]), 1))
        assert filled.finetune_epochs is not None
        if filled.finetune_epochs >= trial.epochs:
            raise InputError(
                f"epochs={trial.epochs} count growing and the "
                f"finetune_epochs={filled.finetune_epochs} (N) that follow, and leave none to grow "
                "in; raise epochs or lower finetune_epochs"
            )
        if filled.max_architecture is not None:
            cap = trial.task.checked("max_architecture", filled.max_architecture)
            if not Architecture(trial.architecture).fits_in(cap):
                raise InputError(
                    f"architecture {trial.architecture!r} is deeper than max_architecture "
                    f"{str(cap)!r}; start shallower or raise the cap"
                )
        return filled

    def _timed(self, trial: TrialConfig, longest: int) -> Self:
        """With the interval made out; `longest` are the epochs at the largest learning rate."""
        return self.with_defaults(interval=longest)

    def interval_epochs(self, trial: TrialConfig) -> int:
        """K in epochs of this trial: those of a part of the data are shorter (section 3.3)."""
        assert self.interval is not None
        return max(round(self.interval / trial.task.data_share), 1)

    def notes(self, trial: TrialConfig) -> list[str]:
        first = self.known_epochs(trial)
        if first <= trial.growing_epochs:
            return []
        return [
            f"the network never grows: its first chance is after {first} epochs, and "
            f"epochs={trial.epochs} leaves {trial.growing_epochs} before fine-tuning"
        ]

    def stage(self, trial: TrialConfig, epoch: int) -> Stage:
        interval = self.interval_epochs(trial)
        return Stage(epoch - epoch % interval, interval, STAIRS)

    def certain(self, trial: TrialConfig, history: History) -> FineTune | None:
        if len(history) >= trial.growing_epochs:
            return FineTune(f"epochs={trial.epochs} {NO_MORE}")
        return None

    def earliness(self) -> tuple[float, ...]:
        return (self.interval or 0,)

    def decide(self, trial: TrialConfig, history: History) -> Decision | None:
        if forced := self.certain(trial, history):
            return forced
        if len(history) % self.interval_epochs(trial):
            return None
        growing, last = _Growing(trial.architecture, self.max_architecture), _Check(None, None)
        for flat in self._flat(trial, history):
            last = self._check(growing, last, flat)
        reason = "; ".join(filter(None, self._reasons(trial, last)))
        if last.grown is not None:
            return Grow(growing.architecture, reason)
        if growing.subnetworks:
            return None
        return FineTune(reason or "max_architecture is reached")

    @abstractmethod
    def compared_epochs(self, trial: TrialConfig) -> int:
        """Epochs within which accuracy has to rise by tau."""

    @abstractmethod
    def _check(self, growing: "_Growing", last: _Check, flat: bool) -> _Check:
        """What a check does to the sub-networks, `flat` where accuracy has not risen."""

    @abstractmethod
    def _reasons(self, trial: TrialConfig, last: _Check) -> list[str]:
        """Why the last check did what it did."""

    def _flat(self, trial: TrialConfig, history: History) -> Iterator[bool]:
        """For each check so far, whether accuracy had not risen in `compared_epochs`.

        The first epochs have nothing to be compared with, which counts as a rise.
        """
        best = list(accumulate((cast(float, record.val_accuracy) for record in history), max))
        interval, compared = self.interval_epochs(trial), self.compared_epochs(trial)
        for epoch in range(interval, len(history) + 1, interval):
            risen = epoch <= compared or best[epoch - 1] - best[epoch - 1 - compared] >= self.tau
            yield not risen

    def _flat_words(self, trial: TrialConfig) -> str:
        compared = _epochs(self.compared_epochs(trial))
        return f"accuracy rose by less than {self.tau:g} points in {compared}"


def _stops(last: _Check) -> str:
    return f"sub-network {last.stopped + 1} stops growing" if last.stopped is not None else ""


def _epochs(n: int) -> str:
    return "an epoch" if n == 1 else f"{n} epochs"


@register("policy", "periodic", source="AutoGrow, section 2.3")
@dataclass(frozen=True, kw_only=True)
class PeriodicAutoGrow(AutoGrow):
    """Add a sub-module every K epochs (p-AutoGrow).

    The sub-network that grew last stops growing if accuracy has not risen in J epochs. When none
    grows any more, fine-tuning begins.
    """

    patience: int | None = option(
        None, "J, epochs in which accuracy must rise by tau, or the sub-network stops growing",
        least=1, default_help="half of the epochs of fine-tuning, on imagenet a third: those at "
        "the largest learning rate",
    )  # fmt: skip

    def compared_epochs(self, trial: TrialConfig) -> int:
        assert self.patience is not None
        return self.patience

    def known_epochs(self, trial: TrialConfig) -> int:
        return self.interval_epochs(trial)

    def _timed(self, trial: TrialConfig, longest: int) -> Self:
        """K and J, each by the other if it was not given."""
        at_most = int((self.patience or longest) * trial.task.data_share)
        usual = max(min(trial.task.baseline.interval, at_most), 1)
        filled = self.with_defaults(interval=usual)
        interval = filled.interval_epochs(trial)
        filled = filled.with_defaults(patience=max(longest, interval))
        if filled.compared_epochs(trial) < interval:
            raise InputError(
                f"patience={filled.patience} (J) is less than the {interval} epochs of an interval "
                f"(K={filled.interval}): accuracy is compared over at least one; raise patience or "
                "lower interval"
            )
        return filled

    def _check(self, growing: "_Growing", last: _Check, flat: bool) -> _Check:
        stopped = growing.stop_last() if flat else None
        return _Check(growing.grow_next(), stopped)

    def _reasons(self, trial: TrialConfig, last: _Check) -> list[str]:
        since = f"{_epochs(self.interval_epochs(trial))} since the last"
        stops = f"{_stops(last)}, {self._flat_words(trial)}" if _stops(last) else ""
        return [since if last.grown is not None else "", stops]


@register("policy", "convergent", source="AutoGrow, section 2.3")
@dataclass(frozen=True, kw_only=True)
class ConvergentAutoGrow(AutoGrow):
    """Add a sub-module once accuracy has not risen in K epochs (c-AutoGrow).

    A sub-network that grew stops growing if accuracy has not risen in the K epochs since. When none
    grows any more, fine-tuning begins.
    """

    def compared_epochs(self, trial: TrialConfig) -> int:
        return self.interval_epochs(trial)

    def known_epochs(self, trial: TrialConfig) -> int:
        return 2 * self.interval_epochs(trial)

    def _check(self, growing: "_Growing", last: _Check, flat: bool) -> _Check:
        if not flat:
            return _Check(None, None)
        stopped = growing.stop_last() if last.grown is not None else None
        return _Check(growing.grow_next(), stopped)

    def _reasons(self, trial: TrialConfig, last: _Check) -> list[str]:
        acted = last.grown is not None or last.stopped is not None
        return [self._flat_words(trial), _stops(last)] if acted else []


class _Growing:
    """The circular list of the sub-networks that still grow."""

    def __init__(self, seed: str, cap: str | None) -> None:
        self.architecture = Architecture(seed)
        self.cap = Architecture(cap) if cap else None
        self.subnetworks = [i for i in range(len(self.architecture.blocks)) if not self._is_full(i)]
        self.turn = 0
        self.last: int | None = None

    def _is_full(self, i: int) -> bool:
        return self.cap is not None and self.architecture.blocks[i] >= self.cap.blocks[i]

    def stop_last(self) -> int | None:
        """The sub-network that grew last, now taken off the list; None if none was on it."""
        if self.last not in self.subnetworks:
            return None
        self.subnetworks.remove(self.last)
        return self.last

    def grow_next(self) -> int | None:
        """The sub-network whose turn it was, now one deeper; None if the list is empty."""
        if not self.subnetworks:
            return None
        n = len(self.architecture.blocks)
        self.last = min(self.subnetworks, key=lambda i: (i - self.turn) % n)
        self.architecture = self.architecture.grown(self.last)
        self.turn = (self.last + 1) % n
        if self._is_full(self.last):
            self.subnetworks.remove(self.last)
        return self.last
