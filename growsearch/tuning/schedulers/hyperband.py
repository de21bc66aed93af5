"""HyperBand."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from growsearch.searches.kinds import Queue, Scheduler
from growsearch.trial.components import register
from growsearch.tuning.one_metric import by_epoch, longest

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

    from growsearch.stopping.cost import Metric
    from growsearch.stopping.judge import ParetoStopping


@register("scheduler", "hyperband", source="Li et al. 2018, JMLR, arXiv:1603.06560")
@dataclass(frozen=True, kw_only=True)
class HyperBand(Scheduler):
    """Pauses and stops trials by HyperBand, which is Tune's own."""

    draws = False

    def tune_scheduler(
        self, queue: Queue, metric: "Metric", judge: "ParetoStopping | None"
    ) -> "TrialScheduler":
        from growsearch.tuning.brackets import Brackets

        return Brackets(queue.ledger, max_t=longest(queue.ledger), **by_epoch(metric))
