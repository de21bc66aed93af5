"""Asynchronous successive halving."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from growsearch.searches.kinds import Queue, StoppingScheduler
from growsearch.trial.components import register
from growsearch.trial.options import option
from growsearch.tuning.one_metric import by_epoch

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

    from growsearch.stopping.cost import Metric
    from growsearch.stopping.judge import ParetoStopping

_NEVER = 10**9
"""Tune stops every trial at an epoch; trials end by themselves, a sampler's not before it."""


@register("scheduler", "asha", source="Li et al. 2020, MLSys, arXiv:1810.05934")
@dataclass(frozen=True, kw_only=True)
class ASHA(StoppingScheduler):
    """Stops trials by asynchronous successive halving, which is Tune's own."""

    grace_period: int = option(5, "no trial is stopped before this epoch", least=1)
    reduction_factor: float = option(4.0, "at each rung one trial in this many goes on", above=1)

    def tune_scheduler(
        self, queue: Queue, metric: "Metric", judge: "ParetoStopping | None"
    ) -> "TrialScheduler":
        from ray.tune.schedulers import AsyncHyperBandScheduler

        from growsearch.tuning.over_ledger import OverLedger

        asha = AsyncHyperBandScheduler(
            **by_epoch(metric), grace_period=self.grace_period, max_t=_NEVER,
            reduction_factor=self.reduction_factor,
        )  # fmt: skip
        return OverLedger(queue.ledger, asha, metric)
