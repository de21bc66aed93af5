"""The option of schedules that change at given epochs."""

from dataclasses import dataclass

from growsearch.trial.config import TrialConfig
from growsearch.trial.kinds import Schedule
from growsearch.trial.optimizer_changes import check_rising
from growsearch.trial.options import option


@dataclass(frozen=True, kw_only=True)
class Milestones(Schedule):
    """A schedule that changes at given epochs."""

    reads_data = False
    lr_epochs: tuple[int, ...] | None = option(
        None, "cosine-restarts: start anew after these epochs; step: a tenth after each",
        least=1, default_help="restarts: the growth epochs; step: at 1/2 and 3/4",
    )  # fmt: skip

    def check_rising(self, trial: TrialConfig) -> None:
        """InputError unless the epochs rise and precede the last."""
        if self.lr_epochs:
            reason = "nothing is trained after the last"
            check_rising("lr_epochs", self.lr_epochs, trial.epochs, reason)
