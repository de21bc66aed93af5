"""The most promising branch first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from growsearch.searches.kinds import Queue, StoppingScheduler
from growsearch.trial.components import register
from growsearch.trial.options import option

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

    alpha: float = option(
        0.1, "share of trials whose accuracy may exceed its bound", above=0, most=1
    )
    delta: float = option(0.0, "accuracy that the front may lose, in points", least=0)
    audit: float = option(
        0.1, "share of trials that run to their end whatever happens, to calibrate and check the "
        "bound", least=0, most=1,
    )  # fmt: skip

    def judge(self, costs: Sequence[str], metric: "Metric", seed: int) -> "ParetoStopping":
        from growsearch.stopping.judge import ParetoStopping

        return ParetoStopping(
            costs=costs, alpha=self.alpha, delta=self.delta, audit=self.audit, seed=seed,
            metric=metric,
        )  # fmt: skip

    def tune_scheduler(
        self, queue: Queue, metric: "Metric", judge: "ParetoStopping | None"
    ) -> "TrialScheduler":
        from growsearch.searches.best_first import BestFirst
        from growsearch.tuning.branches_over_ledger import BranchesOverLedger

        assert judge is not None
        best = BestFirst(judge.costs[0], judge.sizes)
        return BranchesOverLedger(queue, judge, best, metric)

    def notes(self, metric: "Metric") -> list[str]:
        return []
