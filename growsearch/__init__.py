"""growsearch: how should a network grow while it trains, and what does that buy?

    for record in Trainer(TrialConfig(dataset="digits", rtol=1.2, epochs=30)): ...
    study = search("lipgrow", trials=12, dataset="digits", out="runs/lipgrow")
    study = Study("runs/lipgrow")  # later
    study.epochs, study.trials, study.front()  # pandas: a row an epoch, and a row a trial
    network = study.network("best")            # a torch.nn.Module in evaluation mode

A name is imported when it is first used: this import is quick, and loads neither torch nor Ray.
"""

import ast
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

# the one list of public names: type checkers read it, and so does _homes
if TYPE_CHECKING:
    from growsearch.comparing.comparison import compare_studies as compare_studies
    from growsearch.growth.new_blocks import NewBlocks as NewBlocks
    from growsearch.growth.new_blocks import scale_and_shift as scale_and_shift
    from growsearch.machine.randomness import generator as generator
    from growsearch.searches.kinds import Log as Log
    from growsearch.searches.kinds import LogWriter as LogWriter
    from growsearch.searches.kinds import Queue as Queue
    from growsearch.searches.kinds import Sampler as Sampler
    from growsearch.searches.kinds import Scheduler as Scheduler
    from growsearch.searches.kinds import StoppingScheduler as StoppingScheduler
    from growsearch.searches.ledger import SearchTrial as SearchTrial
    from growsearch.stopping.cost import Cost as Cost
    from growsearch.stopping.cost import EpochWork as EpochWork
    from growsearch.stopping.cost import Metric as Metric
    from growsearch.study.comparisons import found_networks as found_networks
    from growsearch.study.comparisons import growth_schedules as growth_schedules
    from growsearch.study.comparisons import growth_timing as growth_timing
    from growsearch.study.copying import fetch_study as fetch_study
    from growsearch.study.figures import front_figure as front_figure
    from growsearch.study.figures import growth_timing_figure as growth_timing_figure
    from growsearch.study.figures import loss_surface_figure as loss_surface_figure
    from growsearch.study.figures import schedules_figure as schedules_figure
    from growsearch.study.figures import trajectory_figure as trajectory_figure
    from growsearch.study.growths import growths as growths
    from growsearch.study.landscape import loss_surface as loss_surface
    from growsearch.study.landscape import trajectory as trajectory
    from growsearch.study.model_file import load_network as load_network
    from growsearch.study.pareto import pareto_front as pareto_front
    from growsearch.study.report import write_report as write_report
    from growsearch.study.results import read_study as read_study
    from growsearch.study.summary import summarize as summarize
    from growsearch.tasks.images.dataset import Dataset as Dataset
    from growsearch.tasks.images.family import ImageFamily as ImageFamily
    from growsearch.tasks.images.images import Images as Images
    from growsearch.tasks.images.source import ImageSource as ImageSource
    from growsearch.tasks.images.spec import DataSpec as DataSpec
    from growsearch.tasks.language.source import TextSource as TextSource
    from growsearch.tasks.task import Task as Task
    from growsearch.trainer import Trainer as Trainer
    from growsearch.trial.architecture import Architecture as Architecture
    from growsearch.trial.components import register as register
    from growsearch.trial.config import TrialConfig as TrialConfig
    from growsearch.trial.course import Fall as Fall
    from growsearch.trial.errors import InputError as InputError
    from growsearch.trial.history import EpochRecord as EpochRecord
    from growsearch.trial.history import History as History
    from growsearch.trial.kinds import FineTune as FineTune
    from growsearch.trial.kinds import Grow as Grow
    from growsearch.trial.kinds import Initializer as Initializer
    from growsearch.trial.kinds import Optimizer as Optimizer
    from growsearch.trial.kinds import Policy as Policy
    from growsearch.trial.kinds import Schedule as Schedule
    from growsearch.trial.options import Role as Role
    from growsearch.trial.options import option as option
    from growsearch.trial.plugins import load_plugins as load_plugins
    from growsearch.tuning.search import search as search
    from growsearch.tuning.study import Study as Study

__version__ = "0.1.0"


@cache
def _homes() -> dict[str, str]:
    """The module of each public name."""
    return {
        alias.name: str(node.module)
        for node in ast.walk(ast.parse(Path(__file__).read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return sorted(_homes())
    if name not in _homes():
        raise AttributeError(f"module 'growsearch' has no attribute {name!r}")
    return getattr(import_module(_homes()[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_homes()]
