"""The base class of each kind of component that a search is put together from, besides its trials.

What a component does not say is answered safely. The modules of components load neither Ray nor
Optuna, because the command line lists them: a component imports what it needs in its methods.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from growsearch.trial.components import Component
from growsearch.trial.errors import InputError
from growsearch.trial.options import Role

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from ray.tune.schedulers import TrialScheduler

    from growsearch.searches.ledger import Ledger, SearchTrial
    from growsearch.stopping.cost import Metric
    from growsearch.stopping.judge import ParetoStopping
    from growsearch.trial.config import TrialConfig
    from growsearch.trial.history import EpochRecord


class LogWriter(ABC):
    """Writes to a log: a run for each trial of a search, a step for each epoch.

    A run is whatever `run` returns. In a resumed search `run` returns one for the same trial again.
    """

    @abstractmethod
    def run(self, trial: "SearchTrial") -> Any:
        """The run of the trial, which `start` opens."""

    @abstractmethod
    def forget(self, run: Any) -> None:
        """Remove what an earlier process has logged of the run."""

    @abstractmethod
    def start(self, run: Any) -> None:
        """Open the run."""

    @abstractmethod
    def step(self, run: Any, record: "EpochRecord") -> None:
        """Write the record of an epoch to the run."""

    @abstractmethod
    def end(self, run: Any, failed: bool) -> None:
        """Close the run of a trial that has ended."""

    def rest(self, run: Any) -> bool:
        """Whether the run is closed until its trial goes on, perhaps much later."""
        return False

    @abstractmethod
    def close(self, unfinished: list[Any]) -> None:
        """The search ends here. It may be resumed, with the runs `unfinished`, which are open."""


@dataclass(frozen=True, kw_only=True)
class Log(Component, ABC):
    """Where a search writes its epochs besides its study."""

    kind = "log"
    role = Role.RECORD
    package: ClassVar[str | None] = None
    """The package that it needs installed."""

    @abstractmethod
    def writer(self, folder: Path, owner: str) -> LogWriter:
        """The writer for the search `owner`, whose study is in `folder`.

        It may raise any exception, which ends the search before its first trial.
        """

    def check(self) -> None:
        """InputError if the package is missing."""
        spec = find_spec(self.package) if self.package else None
        if self.package and (spec is None or spec.origin is None):
            # W&B leaves a folder of its name where it runs: a spec without origin
            extra = f"'growsearch[{self.name}]'" if self.plugin is None else self.package
            raise InputError(
                f"log {self.name!r} needs the package {self.package}, which is not installed; "
                f"pip install {extra}"
            )


@dataclass(frozen=True, kw_only=True)
class Sampler(Component, ABC):
    """Draws the trials of a search, and learns from how they end."""

    kind = "sampler"
    role = Role.RECORD

    @abstractmethod
    def optuna_sampler(self, seed: int, startup_trials: int) -> "BaseSampler":
        """Optuna's sampler, which draws by `seed`; its first `startup_trials` are random."""


Order = Callable[[list[str]], Sequence[str]]
"""Sorts trials that wait or are paused, by name: the first that may start does. Those that it
leaves out do not start now."""


class Queue(Protocol):
    """The trials of a search, as a scheduler that adds some or chooses the next knows them."""

    ledger: "Ledger"
    order: Order | None
    """Which trial starts or continues next; a scheduler may set it. None: those that wait in their
    order, then those that are paused in the order of `resume`."""
    parts: Callable[[str], tuple[int, ...]] | None
    """After how many of a trial's epochs others go another way, by name, so that its state stays
    in the store; a scheduler that sets `order` should set it. None: it is not known."""

    def join(self, config: "TrialConfig") -> str:
        """The name of a trial that joins the search, and starts next."""


Resume = Callable[[list[str]], str | None]
"""Chooses the paused trial that continues next, by name; None: no trial continues."""


@dataclass(frozen=True, kw_only=True)
class Scheduler(Component, ABC):
    """Decides which trials of a search stop or pause before their end.

    The defaults are the safe ones: the scheduler may pause trials, Tune starts them, it may draw
    trials itself, and it does not see their cost. StoppingScheduler has the answers of a scheduler
    that only stops trials.
    """

    kind = "scheduler"
    role = Role.RECORD
    tune_starts: ClassVar[bool] = True
    """Whether Tune gets all trials at the beginning and starts them; its own schedulers that pause
    trials need this. False: the queue starts a trial when a place is free, and paused trials
    continue in the order of `resume`."""
    draws: ClassVar[bool] = True
    """Whether it may draw trials itself. If so, there can be no sampler."""
    orders: ClassVar[bool] = False
    """Whether it says in which order trials start, for which it must know them all."""
    varies: ClassVar[tuple[str, ...]] = ()
    """Options of trials that it changes."""

    judges: ClassVar[bool] = False
    """Whether `judge` returns a judge, whose audit the report shows."""

    @property
    def pauses(self) -> str | None:
        """The setting by which it pauses trials, which then need a store; None: it pauses none."""
        return f"scheduler {self.name!r}"

    def judge(self, costs: Sequence[str], metric: "Metric", seed: int) -> "ParetoStopping | None":
        """The judge whose front and audit are shown; InputError for options that do not fit."""
        return None

    @abstractmethod
    def tune_scheduler(
        self, queue: Queue, metric: "Metric", judge: "ParetoStopping | None"
    ) -> "TrialScheduler":
        """Tune's scheduler. `judge` is what `judge` has returned."""

    def resume(self, judge: "ParetoStopping | None") -> Resume | None:
        """The order in which paused trials continue; None: no trial pauses, or Tune decides."""
        if self.pauses is None or self.tune_starts:
            return None
        return lambda paused: paused[0] if paused else None

    def notes(self, metric: "Metric") -> list[str]:
        """Lines that a search shows first, about what the scheduler does not see."""
        return [
            f"scheduler {self.name!r} compares {metric.name} at equal epochs: it is blind to cost, "
            "and to what a network gains when it has grown"
        ]


@dataclass(frozen=True, kw_only=True)
class StoppingScheduler(Scheduler, ABC):
    """A scheduler that stops trials, and neither pauses nor draws any.

    The queue starts its trials, so `max_concurrent`, samplers and store "none" may be with it.
    """

    tune_starts = False
    draws = False

    @property
    def pauses(self) -> str | None:
        return None
