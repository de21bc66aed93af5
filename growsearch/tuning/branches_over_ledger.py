"""The scheduler that trains the most promising trial of a search first: Tune's hooks."""

from collections.abc import Sequence
from typing import Any

from ray.tune.experiment import Trial

from growsearch.searches.best_first import BestFirst
from growsearch.searches.kinds import Queue
from growsearch.searches.messages import trial_name
from growsearch.stopping.cost import Metric
from growsearch.stopping.judge import ParetoStopping
from growsearch.trial.history import EpochRecord
from growsearch.trial.status import Status
from growsearch.tuning.pareto_over_ledger import ParetoOverLedger


class BranchesOverLedger(ParetoOverLedger):
    """Stops trials as `judge` says, reports results to `best`, and tells the queue what is next."""

    def __init__(
        self, queue: Queue, judge: ParetoStopping, best: BestFirst, metric: Metric
    ) -> None:
        super().__init__(queue.ledger, judge)
        self.best, self.compared = best, metric
        self._known: set[str] = set()
        self._join()
        histories = self.ledger.read_histories()
        # in the order in which they were learnt
        for name, epochs in self.ledger.results(histories):
            self._note(name, histories[name][:epochs])
            if epochs == len(histories[name]):
                self._learn(name)
        queue.order, queue.parts = self.order, best.parts

    def order(self, names: list[str]) -> list[str]:
        self._join()
        return self.best.order(names)

    def on_trial_result(self, controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        entry = self.ledger.trials[trial_name(trial.config)]
        self._note(entry.name, entry.history)
        return super().on_trial_result(controller, trial, result)

    def on_trial_complete(self, controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        entry = self.ledger.trials[trial_name(trial.config)]
        self._note(entry.name, entry.history)
        self._learn(entry.name)
        super().on_trial_complete(controller, trial, result)

    def _note(self, name: str, history: Sequence[EpochRecord]) -> None:
        known, compared = len(self.best.courses.get(name, ())), self.compared
        new = [-compared.value(compared.of(record)) for record in history[known:]]
        self.best.trained(name, new)

    def _learn(self, name: str) -> None:
        entry = self.ledger.trials[name]
        if entry.status is Status.COMPLETED:
            last = entry.history[-1]
            self.best.completed(name, -self.compared.value(self.compared.of(last)))

    def _join(self) -> None:
        for name, trial in self.ledger.trials.items():
            if name not in self._known:
                self._known.add(name)
                self.best.add(name, trial.config)
