"""growsearch: how should a network grow while it trains, and what does that buy?

    for record in Trainer(TrialConfig(dataset="digits", rtol=1.2, epochs=30)): ...
    study = read_study("runs/lipgrow")      # pandas: a row an epoch
    front = pareto_front(summarize(study))  # pandas: a row a trial

Names are imported when they are first used, so that this import is quick and torch, pandas and
ray are loaded only by who needs them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from growsearch.architecture import Architecture as Architecture
    from growsearch.comparisons import found_networks as found_networks
    from growsearch.comparisons import growth_timing as growth_timing
    from growsearch.comparisons import schedules as schedules
    from growsearch.config import TrialConfig as TrialConfig
    from growsearch.errors import InputError as InputError
    from growsearch.figures import front_figure as front_figure
    from growsearch.figures import growth_timing_figure as growth_timing_figure
    from growsearch.figures import loss_surface_figure as loss_surface_figure
    from growsearch.figures import schedules_figure as schedules_figure
    from growsearch.figures import trajectory_figure as trajectory_figure
    from growsearch.history import EpochRecord as EpochRecord
    from growsearch.history import History as History
    from growsearch.landscape import loss_surface as loss_surface
    from growsearch.landscape import trajectory as trajectory
    from growsearch.pareto import pareto_front as pareto_front
    from growsearch.report import write_report as write_report
    from growsearch.results import read_study as read_study
    from growsearch.results import summarize as summarize
    from growsearch.trainer import Trainer as Trainer

__version__ = "0.1.0"

_HOMES = {
    "Architecture": "architecture",
    "EpochRecord": "history",
    "History": "history",
    "InputError": "errors",
    "Trainer": "trainer",
    "TrialConfig": "config",
    "found_networks": "comparisons",
    "front_figure": "figures",
    "growth_timing": "comparisons",
    "growth_timing_figure": "figures",
    "loss_surface": "landscape",
    "loss_surface_figure": "figures",
    "pareto_front": "pareto",
    "read_study": "results",
    "schedules": "comparisons",
    "schedules_figure": "figures",
    "summarize": "results",
    "trajectory": "landscape",
    "trajectory_figure": "figures",
    "write_report": "report",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'growsearch' has no attribute {name!r}")
    return getattr(import_module(f"growsearch.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
