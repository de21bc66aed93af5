"""The base class of each kind of component that a search is put together from, besides its trials.

What a component does not say is answered safely. The modules of components load neither Ray nor
Optuna, because the command line lists them: a component imports what it needs in its methods.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from growsearch.trial.components import Component
from growsearch.trial.errors import InputError
from growsearch.trial.options import Role

if TYPE_CHECKING:
    from growsearch.search.ledger import SearchTrial
    from growsearch.trial.history import EpochRecord


class LogWriter(ABC):
    """Writes to a log: a run for each trial of a search, a step for each epoch.

    A run is whatever `run` returns. Runs of one trial are equal in different processes.
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
