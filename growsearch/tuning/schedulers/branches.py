"""The most promising branch first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from growsearch.searches.kinds import Queue
from growsearch.trial.components import register
from growsearch.trial.errors import InputError
from growsearch.tuning.schedulers.pareto import SafeStoppingScheduler, alpha_option

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

    from growsearch.stopping.cost import Metric
    from growsearch.stopping.judge import ParetoStopping


@register("scheduler", "branches", source="gain: Emmerich et al. 2006, IEEE TEC 10(4)")
@dataclass(frozen=True, kw_only=True)
class Branches(SafeStoppingScheduler):
    """Trains the trial first that adds most to the front per cost. What a trial will come to is
    predicted from its schedule and its first epochs. Epochs that trials share are paid once. It
    stops trials as pareto does, without racing.
    """

    orders = True
    alpha: float = alpha_option(0.05)

    def judge(self, costs: Sequence[str], metric: "Metric", seed: int) -> "ParetoStopping":
        from growsearch.stopping.cost import Cost, cost_of

        if type(cost_of(costs[0])).least is Cost.least:
            raise InputError(
                f"scheduler {self.name!r} plans by what epochs cost, and nothing is known for "
                f"{costs[0]!r} before they are trained; choose another --cost, like flops"
            )
        return super().judge(costs, metric, seed)

    def tune_scheduler(
        self, queue: Queue, metric: "Metric", judge: "ParetoStopping | None"
    ) -> "TrialScheduler":
        from growsearch.searches.best_first import BestFirst
        from growsearch.tuning.branches_over_ledger import BranchesOverLedger

        assert judge is not None
        best = BestFirst(judge.costs[0], judge.sizes)
        return BranchesOverLedger(queue, judge, best, metric)
