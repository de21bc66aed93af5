"""No scheduler."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from growsearch.searches.kinds import Queue, StoppingScheduler
from growsearch.trial.components import register

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

    from growsearch.stopping.cost import Metric
    from growsearch.stopping.judge import ParetoStopping


@register("scheduler", "none")
@dataclass(frozen=True, kw_only=True)
class NoScheduler(StoppingScheduler):
    """Runs each trial to its end, first in, first out."""

    def tune_scheduler(
        self, queue: Queue, metric: "Metric", judge: "ParetoStopping | None"
    ) -> "TrialScheduler":
        from ray.tune.schedulers import FIFOScheduler

        return FIFOScheduler()

    def notes(self, metric: "Metric") -> list[str]:
        return []
