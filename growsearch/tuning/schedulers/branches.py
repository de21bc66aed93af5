"""The most promising branch first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from growsearch.searches.kinds import Queue, StoppingScheduler
from growsearch.trial.components import register

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

    from growsearch.stopping.cost import Metric
    from growsearch.stopping.judge import ParetoStopping


@register("scheduler", "branches", source="gain: Emmerich et al. 2006, IEEE TEC 10(4)")
@dataclass(frozen=True, kw_only=True)
class Branches(StoppingScheduler):
    """Trains first what the front gains most from for what is still to be paid. Epochs that trials
    share are paid once. It stops no trial: end the search by a budget.
    """

    judges = True

    def judge(self, costs: Sequence[str], metric: "Metric", seed: int) -> "ParetoStopping":
        from growsearch.stopping.judge import ParetoStopping

        return ParetoStopping(costs=costs, metric=metric, seed=seed)

    def tune_scheduler(
        self, queue: Queue, metric: "Metric", judge: "ParetoStopping | None"
    ) -> "TrialScheduler":
        from growsearch.searches.best_first import BestFirst
        from growsearch.tuning.branches_over_ledger import BranchesOverLedger

        assert judge is not None
        return BranchesOverLedger(queue, BestFirst(judge.costs[0], judge.sizes), metric)

    def notes(self, metric: "Metric") -> list[str]:
        return []
