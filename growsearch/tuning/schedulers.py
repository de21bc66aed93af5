"""The trial schedulers by name: ours, and Tune's own, which see one metric."""

from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, MedianStoppingRule, TrialScheduler

from growsearch.pareto_stopping import ParetoStopping
from growsearch.racing import GRACE
from growsearch.tuning.ledger import Ledger
from growsearch.tuning.pareto_scheduler import ParetoScheduler
from growsearch.tuning.settings import SearchSettings


def scheduler_of(
    ledger: Ledger, options: SearchSettings, judge: ParetoStopping | None
) -> TrialScheduler | None:
    """The scheduler that the settings name; None for Tune's first in, first out."""
    if judge is not None:
        return ParetoScheduler(ledger, judge)
    accuracy: dict[str, Any] = {"time_attr": "epoch", "metric": "val_accuracy", "mode": "max"}
    if options.scheduler == "asha":
        longest = max((t.config.epochs for t in ledger.trials.values()), default=100)
        return AsyncHyperBandScheduler(**accuracy, grace_period=GRACE, max_t=longest)
    if options.scheduler == "median":
        return MedianStoppingRule(**accuracy, grace_period=GRACE)
    return None


def blind_spots(options: SearchSettings) -> list[str]:
    """What the chosen scheduler does not see."""
    if options.scheduler not in ("asha", "median"):
        return []
    return [
        f"scheduler {options.scheduler!r} compares validation accuracy at equal epochs: it is "
        "blind to cost, and to what a network gains when it has grown"
    ]
