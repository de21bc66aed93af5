"""Learning rates that fall in steps."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from growsearch.schedules.milestones import Milestones
from growsearch.trial.components import register
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import History
from growsearch.trial.kinds import Schedule
from growsearch.trial.rates import staircase


def step(epoch: int, milestones: Sequence[int], lr: float) -> float:
    """A tenth of the learning rate after each milestone (He et al. 2016a)."""
    return lr * 0.1 ** bisect_right(milestones, epoch)


@register("lr_schedule", "step", source="He et al. 2016a")
@dataclass(frozen=True, kw_only=True)
class Step(Milestones):
    """A tenth after each of lr_epochs, by default after 1/2 and 3/4 of all epochs."""

    def completed(self, trial: TrialConfig) -> Self:
        usual = {trial.epochs // 2, trial.epochs * 3 // 4}
        fitting = tuple(sorted(epoch for epoch in usual if 0 < epoch < trial.epochs))
        filled = self.with_defaults(lr_epochs=fitting or None)
        filled.check_rising(trial)
        return filled

    def rate(self, trial: TrialConfig, history: History, lr: float) -> float:
        return step(len(history), self.lr_epochs or (), lr)

    def full_epochs(self, trial: TrialConfig) -> float:
        return min(self.lr_epochs or (trial.epochs,))


@register("lr_schedule", "staircase", source="AutoGrow, section 3")
@dataclass(frozen=True, kw_only=True)
class Staircase(Schedule):
    """A tenth after 1/2 and 3/4 of each stage: until the next growth, or one AutoGrow interval."""

    reads_data = False
    by_stages = True

    def completed(self, trial: TrialConfig) -> Self:
        if trial.policy.stage(trial, 0) is None:
            raise InputError(
                "lr_schedule 'staircase' starts anew at growths or intervals known beforehand, "
                f"which policy {trial.policy.name!r} does not have; "
                "choose 'step' or 'adaptive-cosine'"
            )
        return self

    def rate(self, trial: TrialConfig, history: History, lr: float) -> float:
        stage = trial.policy.stage(trial, len(history))
        assert stage is not None
        return staircase(len(history) - stage.begin, stage.epochs, lr, stage.stairs)


@register("lr_schedule", "constant")
@dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    """The same learning rate until fine-tuning."""

    reads_data = False

    def rate(self, trial: TrialConfig, history: History, lr: float) -> float:
        return lr
