"""Many trials on Ray Tune: the only place that imports ray.

For your own Tune code there are `GrowingTrial`, a trainable, and `ParetoScheduler`. Both are
imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from growsearch.tuning.growing_trial import GrowingTrial as GrowingTrial
    from growsearch.tuning.pareto_scheduler import ParetoScheduler as ParetoScheduler

_HOMES = {"GrowingTrial": "growing_trial", "ParetoScheduler": "pareto_scheduler"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
