"""Population based training."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from growsearch.searches.kinds import Queue, Scheduler
from growsearch.trial.components import register
from growsearch.tuning.one_metric import by_epoch, longest

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

    from growsearch.stopping.cost import Metric
    from growsearch.stopping.judge import ParetoStopping


@register("scheduler", "pbt", source="Jaderberg et al. 2017, arXiv:1711.09846")
@dataclass(frozen=True, kw_only=True)
class PBT(Scheduler):
    """Varies learning rate and weight decay by population based training. At ten times in a
    trial's epochs, the worst trials end, and others go on from the best with changed values.
    """

    varies = ("optimizer_changes",)

    def tune_scheduler(
        self, queue: Queue, metric: "Metric", judge: "ParetoStopping | None"
    ) -> "TrialScheduler":
        from growsearch.tuning.population import PopulationBased

        interval = max(longest(queue.ledger) // 10, 1)
        return PopulationBased(queue, interval=interval, **by_epoch(metric))
