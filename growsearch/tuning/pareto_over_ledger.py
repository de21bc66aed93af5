"""The scheduler of a Pareto search of growing networks: Tune's hooks around ParetoStopping."""

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from growsearch.searches.ledger import Ledger
from growsearch.searches.messages import trial_name
from growsearch.stopping.judge import ParetoStopping
from growsearch.trial.history import History
from growsearch.trial.status import Status


class ParetoOverLedger(FIFOScheduler):
    """Stops and pauses trials as `judge` says, and writes down why.

    A paused trial leaves its actor like one that is stopped; the queue starts it again, from its
    newest epoch in the store.
    """

    def __init__(self, ledger: Ledger, judge: ParetoStopping) -> None:
        super().__init__()
        self.ledger = ledger
        self.judge = judge
        self._take_over()

    def _take_over(self) -> None:
        """Judge once more what an earlier run of the search has judged, in the same order."""
        histories = self.ledger.read_histories()
        for name, epochs in self.ledger.results(histories):
            trial, history = self.ledger.trials[name], histories[name]
            if epochs < len(history) or not trial.status.ran_to_end:
                self.judge.verdict(name, trial.config, History(history[:epochs]))
            elif histories.pop(name):
                self.judge.ended(name, trial.config, history)
        for name, history in histories.items():
            trial = self.ledger.trials[name]
            if trial.status.ran_to_end:  # killed before it was told
                self.judge.ended(name, trial.config, history)
            elif not trial.status.ended:
                self.judge.follow(name, trial.config, history)
                if trial.status is Status.PAUSED:
                    self.judge.rest(name)

    def on_trial_result(self, controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        entry = self.ledger.trials[trial_name(trial.config)]
        leaves = self.judge.verdict(entry.name, entry.config, entry.history)
        if leaves is None:
            return self.CONTINUE
        self.ledger.leave(entry.name, *leaves)
        return self.STOP

    def on_trial_complete(self, controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        entry = self.ledger.trials[trial_name(trial.config)]
        if entry.status.ran_to_end:
            stop = self.judge.ended(entry.name, entry.config, entry.history)
            if stop:
                self.ledger.audited(entry.name, stop)
