"""Tune's schedulers that only stop trials, over the ledger of a search."""

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from growsearch.searches.ledger import Ledger
from growsearch.searches.messages import awaited_epoch, trial_name
from growsearch.stopping.cost import Metric
from growsearch.trial.history import History
from growsearch.trial.status import Status
from growsearch.tuning.ray_private import ScheduledTrial, controller_without_trials


class OverLedger(FIFOScheduler):
    """Tune's `scheduler` that only stops trials, over all of the search: restarts of a trial count
    as the same trial, and earlier runs of the search count, in the order of their results.

    The scheduler sees the newest epoch of each result: of epochs that come at once from the store
    the last, as Tune has it of trials that report now and then. A trial that it has stopped is
    stopped at its next result, whatever it did before: it may have been killed in between, or begun
    under another scheduler.
    """

    def __init__(self, ledger: Ledger, scheduler: TrialScheduler, metric: Metric) -> None:
        super().__init__()
        self.ledger, self.scheduler, self.compared = ledger, scheduler, metric
        # no trial waits in Tune: the queue starts those for which there is room
        self.controller = controller_without_trials()
        self._added: set[str] = set()
        self._stopped: set[str] = set()
        self._told: dict[str, int] = {}
        """How many epochs each trial had when the scheduler saw it last."""
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
        """Shows the scheduler the newest epoch, if that is new to it."""
        if name in self._stopped or len(history) <= self._told.get(name, 0):
            return
        self._told[name] = len(history)
        newest = self._result(history)
        decision = self.scheduler.on_trial_result(self.controller, self._trial(name), newest)
        if decision == TrialScheduler.STOP:
            self._stopped.add(name)

    def _complete(self, name: str, history: History) -> None:
        """Tune tells the last epoch of a trial that has ended as such."""
        self._told[name] = len(history)
        last = self._result(history)
        self.scheduler.on_trial_complete(self.controller, self._trial(name), last)
        self._added.discard(name)

    def _result(self, history: History) -> dict[str, Any]:
        """What the scheduler reads, which may keep it: see `by_epoch`."""
        record = history[-1]
        return {"epoch": record.epoch, self.compared.column: self.compared.of(record)}

    def _trial(self, name: str) -> Any:
        named: Any = ScheduledTrial(name)
        if name not in self._added:
            self._added.add(name)
            self.scheduler.on_trial_add(self.controller, named)
        return named
