"""What a search may spend: a stopper for Tune, and the end of the queue."""

from collections.abc import Mapping
from typing import Any

from ray.tune import Stopper

from growsearch.searches.ledger import Ledger, SearchTrial
from growsearch.searches.messages import Report, trial_name
from growsearch.stopping.budget import TRIALS, reason_paused
from growsearch.trial.status import Status


class Budget(Stopper):
    """Ends a search that has trained as much as it may: what runs then pauses after its epoch.

    Parameter-epochs, FLOPs and seconds are those that this search has paid, summed over trials;
    trials are those that have begun, and they run to their end. Of all of Tune's hooks a stopper
    is the first to see a result, and sees each: so it is here that results enter the ledger.
    """

    def __init__(self, ledger: Ledger, budget: tuple[str, float] | None) -> None:
        self.ledger = ledger
        self.budget = budget
        self._begun = {
            trial.name
            for trial in ledger.trials.values()
            if trial.history or trial.status is not Status.WAITING
        }
        """Also those that wait again: a process died, or another search trains an epoch."""

    def begin(self, name: str) -> None:
        """Takes note that the trial begins or goes on."""
        self._begun.add(name)

    def spent(self, unit: str) -> float:
        return len(self._begun) if unit == TRIALS else self.ledger.paid[unit]

    @property
    def is_spent(self) -> bool:
        return self.budget is not None and self.spent(self.budget[0]) >= self.budget[1]

    def admits(self, trial: SearchTrial) -> bool:
        """Whether the trial may begin or go on."""
        if self.budget is not None and self.budget[0] == TRIALS and trial.name in self._begun:
            return True
        return not self.is_spent

    @property
    def is_over(self) -> bool:
        """Whether no trial may begin or go on any more."""
        return self.is_spent and not any(map(self.admits, self._open()))

    def _open(self) -> list[SearchTrial]:
        return self.ledger.with_status(*(status for status in Status if not status.ended))

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        trial = self.ledger.enter(trial_name(result["config"]), Report.from_dict(result))
        if trial.status.ended or self.admits(trial) or self.budget is None:
            return False
        self.ledger.leave(trial.name, Status.PAUSED, reason_paused(*self.budget))
        return True

    def stop_all(self) -> bool:
        """Whether nothing is left to do but to go on with what Tune has paused."""
        return self.is_over and not self.ledger.with_status(Status.RUNNING)
