"""Safe stopping and racing of trials by cost and accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from growsearch.searches.kinds import Queue, Resume, StoppingScheduler
from growsearch.trial.components import register
from growsearch.trial.options import option

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

    from growsearch.stopping.cost import Metric
    from growsearch.stopping.judge import ParetoStopping


def alpha_option(default: float) -> float:
    return option(
        default, "share of trials whose accuracy may exceed its bound", above=0, most=1,
        default_help="0.1; branches: 0.05",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SafeStoppingScheduler(StoppingScheduler):
    """A scheduler that stops trials by the safe layer. Its options are those of ParetoStopping."""

    judges = True

    alpha: float = alpha_option(0.1)
    delta: float = option(0.0, "accuracy that the front may lose, in points", least=0)
    audit: float = option(
        0.1, "share of trials that run to their end whatever happens, to calibrate and check the "
        "bound", least=0, most=1,
    )  # fmt: skip

    def judge(self, costs: Sequence[str], metric: "Metric", seed: int) -> "ParetoStopping":
        from growsearch.stopping.judge import ParetoStopping

        options: dict[str, Any] = self.values()
        return ParetoStopping(costs=costs, seed=seed, metric=metric, **options)

    def notes(self, metric: "Metric") -> list[str]:
        return []


@register(
    "scheduler", "pareto",
    source="bound: Lei et al. 2018, JASA; racing: Schmucker et al. 2021, arXiv:2106.12639",
)  # fmt: skip
@dataclass(frozen=True, kw_only=True)
class Pareto(SafeStoppingScheduler):
    """Stops trials that cannot reach the front of cost and accuracy. With racing, it also pauses
    those that others of equal cost leave behind.
    """

    racing: float | None = option(
        None, "at each step of cost one trial in this many continues, the others pause until "
        "nothing else is left to do", above=1, default_help="off",
    )  # fmt: skip

    @property
    def pauses(self) -> str | None:
        return f"racing={self.racing:g}" if self.racing is not None else None

    def tune_scheduler(
        self, queue: Queue, metric: "Metric", judge: "ParetoStopping | None"
    ) -> "TrialScheduler":
        from growsearch.tuning.pareto_over_ledger import ParetoOverLedger

        assert judge is not None
        return ParetoOverLedger(queue.ledger, judge)

    def resume(self, judge: "ParetoStopping | None") -> Resume | None:
        return judge.next_to_resume if judge is not None and judge.racing else None
