"""The scheduler that trains the most promising branch of a search first: Tune's hooks."""

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from growsearch.searches.best_first import BestFirst
from growsearch.searches.kinds import Queue
from growsearch.searches.messages import trial_name
from growsearch.stopping.cost import Metric
from growsearch.trial.status import Status


class BranchesOverLedger(FIFOScheduler):
    """Tells `best` what trials come to, and the queue which trial is next."""

    def __init__(self, queue: Queue, best: BestFirst, metric: Metric) -> None:
        super().__init__()
        self.ledger, self.best, self.compared = queue.ledger, best, metric
        self._known: set[str] = set()
        self._join()
        self._take_over()
        queue.order = self.order

    def _take_over(self) -> None:
        """What an earlier run of the search has learnt, in the same order."""
        lengths = {name: len(h) for name, h in self.ledger.read_histories().items()}
        for name, epochs in self.ledger.results():
            self.best.trained(name, epochs)
            if epochs == lengths[name]:
                self._complete(name)

    def order(self, names: list[str]) -> list[str]:
        self._join()
        return self.best.order(names)

    def on_trial_result(self, controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        entry = self.ledger.trials[trial_name(trial.config)]
        self.best.trained(entry.name, len(entry.history))
        return str(self.CONTINUE)

    def on_trial_complete(self, controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        entry = self.ledger.trials[trial_name(trial.config)]
        self.best.trained(entry.name, len(entry.history))
        self._complete(entry.name)

    def _complete(self, name: str) -> None:
        entry = self.ledger.trials[name]
        if entry.status is Status.COMPLETED:
            last = entry.history[-1]
            self.best.completed(name, -self.compared.value(self.compared.of(last)))

    def _join(self) -> None:
        for name, trial in self.ledger.trials.items():
            if name not in self._known:
                self._known.add(name)
                self.best.add(name, trial.config)
