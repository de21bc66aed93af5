"""The best that stopping could do: a scheduler that knows how each recorded trial will end."""

from collections.abc import Mapping
from typing import Any

from ray.tune.schedulers import FIFOScheduler

from growsearch.searches.ledger import Ledger
from growsearch.searches.recorded import dominates
from growsearch.stopping.hypervolume import Outcome
from growsearch.trial.status import Status


class Oracle(FIFOScheduler):
    """Stops a trial as soon as a completed one is known to dominate what it will end with.

    `outcomes` are final costs and metrics by trial; a trial that diverges has none.
    """

    def __init__(self, ledger: Ledger, outcomes: Mapping[str, Outcome]) -> None:
        super().__init__()
        self.ledger, self.outcomes = ledger, outcomes
        self.completed: list[Outcome] = []

    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        mine = self.outcomes.get(trial.trial_id)
        if mine is None or any(dominates(other, mine) for other in self.completed):
            return str(self.STOP)
        return str(self.CONTINUE)

    def on_trial_complete(self, controller: Any, trial: Any, result: dict[str, Any]) -> None:
        if self.ledger.trials[trial.trial_id].status is Status.COMPLETED:
            self.completed.append(self.outcomes[trial.trial_id])
