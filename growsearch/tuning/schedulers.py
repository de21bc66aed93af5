"""The trial schedulers by name: ours, and Tune's own, which see one metric."""

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    TrialScheduler,
)

from growsearch.choices import LOSSES
from growsearch.pareto_stopping import PAUSED, ParetoStopping
from growsearch.racing import GRACE
from growsearch.tuning.ledger import Ledger
from growsearch.tuning.pareto_scheduler import ParetoScheduler
from growsearch.tuning.population import PopulationBased
from growsearch.tuning.settings import SearchSettings
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
        "mode": "min" if options.metric in LOSSES else "max",
    }
    match options.scheduler:
        case "asha":
            return AsyncHyperBandScheduler(**accuracy, grace_period=GRACE, max_t=longest)
        case "median":
            return MedianStoppingRule(**accuracy, grace_period=GRACE)
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


class HyperBand(HyperBandScheduler):
    """Tune's, which pauses trials itself: the ledger knows."""

    def __init__(self, ledger: Ledger, **options: Any) -> None:
        super().__init__(**options)
        self.ledger = ledger

    def on_trial_result(self, controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        decision: str = super().on_trial_result(controller, trial, result)
        if decision == TrialScheduler.PAUSE:
            reason = "until its bracket has come as far"
            self.ledger.leave(trial.config["name"], PAUSED, reason)
        return decision
