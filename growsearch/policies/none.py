"""The policy that never grows."""

from dataclasses import dataclass

from growsearch.trial.components import register
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import History
from growsearch.trial.kinds import Policy, Stage


@register("policy", "none")
@dataclass(frozen=True, kw_only=True)
class Vanilla(Policy):
    """Never grow: the papers' vanilla network."""

    grows = False
    label = "vanilla"

    def decide(self, trial: TrialConfig, history: History) -> None:
        """Nothing, ever."""

    def known_epochs(self, trial: TrialConfig) -> int:
        return trial.epochs

    def stage(self, trial: TrialConfig, epoch: int) -> Stage:
        return Stage(0, trial.epochs, trial.task.baseline.stairs)
