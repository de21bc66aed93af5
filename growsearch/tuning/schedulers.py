"""The trial schedulers by name: ours, and Tune's own, which see one metric."""

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    TrialScheduler,
)

from growsearch.search.ledger import Ledger
from growsearch.search.messages import trial_name
from growsearch.search.settings import SearchSettings
from growsearch.stopping.cost import metric_of
from growsearch.stopping.judge import ParetoStopping
from growsearch.stopping.racing import GRACE
from growsearch.trial.status import Status
from growsearch.tuning.pareto_scheduler import ParetoScheduler
from growsearch.tuning.population import PopulationBased
from growsearch.tuning.ray_private import ScheduledTrial, controller_without_trials
from growsearch.tuning.trial_queue import TrialQueue


def scheduler_of(
    queue: TrialQueue, options: SearchSettings, judge: ParetoStopping | None
) -> TrialScheduler | None:
    """The scheduler that the settings name; None for Tune's first in, first out."""
    if judge is not None:
        return ParetoScheduler(queue.ledger, judge)
    longest = max((t.config.epochs for t in queue.ledger.trials.values()), default=100)
    accuracy: dict[str, Any] = {
        "time_attr": "epoch",
        "metric": options.metric,
        "mode": "min" if metric_of(options.metric).minimized else "max",
    }
    match options.scheduler:
        case "asha":
            asha = AsyncHyperBandScheduler(**accuracy, grace_period=GRACE, max_t=longest)
            return OverLedger(queue.ledger, asha)
        case "median":
            median = MedianStoppingRule(**accuracy, grace_period=GRACE)
            return OverLedger(queue.ledger, median)
        case "hyperband":
            return HyperBand(queue.ledger, max_t=longest, **accuracy)
        case "pbt":
            return PopulationBased(queue, interval=max(longest // 10, 1), **accuracy)
        case _:
            return None


def blind_spots(options: SearchSettings) -> list[str]:
    """What the chosen scheduler does not see."""
    if options.scheduler in ("none", "pareto"):
        return []
    return [
        f"scheduler {options.scheduler!r} compares {options.metric} at equal epochs: it is "
        "blind to cost, and to what a network gains when it has grown"
    ]


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
        for name, epochs in ledger.results():
            trial, history = ledger.trials[name], histories[name]
            ended = trial.status.ended and epochs == len(history)
            if not ended or trial.status is Status.STOPPED:
                self._result(name, vars(history[epochs - 1]))
            if ended:
                self._complete(name, vars(history[-1]))

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


class HyperBand(HyperBandScheduler):
    """Tune's, which pauses trials itself: the ledger knows."""

    def __init__(self, ledger: Ledger, **options: Any) -> None:
        super().__init__(**options)
        self.ledger = ledger

    def on_trial_result(self, controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        decision: str = super().on_trial_result(controller, trial, result)
        if decision == TrialScheduler.PAUSE:
            reason = "until its bracket has come as far"
            self.ledger.leave(trial_name(trial.config), Status.PAUSED, reason)
        return decision
