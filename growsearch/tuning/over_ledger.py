"""Tune's schedulers that only stop trials, over the ledger of a search."""

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from growsearch.searches.ledger import Ledger
from growsearch.searches.messages import awaited_epoch, trial_name
from growsearch.trial.history import History
from growsearch.trial.status import Status
from growsearch.tuning.ray_private import ScheduledTrial, controller_without_trials


class OverLedger(FIFOScheduler):
    """Tune's `scheduler` that only stops trials, over all of the search: a trial is one however
    often it starts, and earlier runs of the search count, in the order of their results.

    The scheduler sees each epoch of a trial in turn, also of those that come at once from the
    store. A trial that it has stopped is stopped at its next result, whatever it did before: it
    may have been killed in between, or begun under another scheduler.
    """

    def __init__(self, ledger: Ledger, scheduler: TrialScheduler) -> None:
        super().__init__()
        self.ledger, self.scheduler = ledger, scheduler
        # no trial waits in Tune: the queue starts those for which there is room
        self.controller = controller_without_trials()
        self._added: set[str] = set()
        self._stopped: set[str] = set()
        self._told: dict[str, int] = {}
        """How many epochs of each trial the scheduler has seen."""
        histories = ledger.read_histories()
        for name, epochs in ledger.results(histories):
            trial, history = ledger.trials[name], histories[name]
            ended = trial.status.ended and epochs == len(history)
            if not ended or trial.status is Status.STOPPED:
                self._tell(name, History(history[:epochs]))
            if ended:
                self._complete(name, history)

    def on_trial_result(self, controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        name = trial_name(trial.config)
        self._tell(name, self.ledger.trials[name].history)
        return TrialScheduler.STOP if name in self._stopped else TrialScheduler.CONTINUE

    def on_trial_complete(self, controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        entry = self.ledger.trials[trial_name(trial.config)]
        if awaited_epoch(result) is not None:
            return  # it only leaves its actor
        if entry.status.ended or entry.name in self._stopped:
            self._complete(entry.name, entry.history)
        else:  # it pauses
            self._tell(entry.name, entry.history)

    def _tell(self, name: str, history: History) -> None:
        """Shows the scheduler the epochs that are new to it."""
        for record in history[self._told.get(name, 0) :]:
            self._told[name] = record.epoch
            if name not in self._stopped:
                decision = self.scheduler.on_trial_result(
                    self.controller, self._trial(name), record.to_result()
                )
                if decision == TrialScheduler.STOP:
                    self._stopped.add(name)

    def _complete(self, name: str, history: History) -> None:
        """Tune tells its last epoch as that of a trial that has ended."""
        self._tell(name, History(history[:-1]))
        self._told[name] = len(history)
        last = history[-1].to_result()
        self.scheduler.on_trial_complete(self.controller, self._trial(name), last)
        self._added.discard(name)

    def _trial(self, name: str) -> Any:
        named: Any = ScheduledTrial(name)
        if name not in self._added:
            self._added.add(name)
            self.scheduler.on_trial_add(self.controller, named)
        return named
