"""Tune's schedulers that only stop trials, over the ledger of a search."""

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from growsearch.searches.ledger import Ledger
from growsearch.searches.messages import trial_name
from growsearch.trial.status import Status
from growsearch.tuning.ray_private import ScheduledTrial, controller_without_trials


class OverLedger(FIFOScheduler):
    """Tune's `scheduler` that only stops trials, over all of the search: a trial is one however
    often it starts, and earlier runs of the search count, in the order of their results.
    """

    def __init__(self, ledger: Ledger, scheduler: TrialScheduler) -> None:
        super().__init__()
        self.ledger, self.scheduler = ledger, scheduler
        # no trial waits in Tune: the queue starts those for which there is room
        self.controller = controller_without_trials()
        self._added: set[str] = set()
        histories = ledger.read_histories()
        for name, epochs in ledger.results(histories):
            trial, history = ledger.trials[name], histories[name]
            ended = trial.status.ended and epochs == len(history)
            if not ended or trial.status is Status.STOPPED:
                self._result(name, history[epochs - 1].to_result())
            if ended:
                self._complete(name, history[-1].to_result())

    def on_trial_result(self, controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        return self._result(trial_name(trial.config), result)

    def on_trial_complete(self, controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        self._complete(trial_name(trial.config), result)

    def _result(self, name: str, result: dict[str, Any]) -> str:
        decision: str = self.scheduler.on_trial_result(self.controller, self._trial(name), result)
        return decision

    def _complete(self, name: str, result: dict[str, Any]) -> None:
        self.scheduler.on_trial_complete(self.controller, self._trial(name), result)
        self._added.discard(name)

    def _trial(self, name: str) -> Any:
        named: Any = ScheduledTrial(name)
        if name not in self._added:
            self._added.add(name)
            self.scheduler.on_trial_add(self.controller, named)
        return named
