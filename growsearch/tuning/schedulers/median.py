"""The median stopping rule."""

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


@register("scheduler", "median", source="Golovin et al. 2017, Google Vizier, section 3.2")
@dataclass(frozen=True, kw_only=True)
class Median(StoppingScheduler):
    """Stops trials by the median stopping rule, which is Tune's own."""

    grace_period: int = option(5, "no trial is stopped before this epoch", least=1)

    def tune_scheduler(
        self, queue: Queue, metric: "Metric", judge: "ParetoStopping | None"
    ) -> "TrialScheduler":
        from ray.tune.schedulers import MedianStoppingRule

        from growsearch.tuning.over_ledger import OverLedger

        median = MedianStoppingRule(**by_epoch(metric), grace_period=self.grace_period)
        return OverLedger(queue.ledger, median, metric)
