"""What a search may call cost, and what it may call accuracy: the base classes."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from growsearch.trial.components import Component
from growsearch.trial.history import EpochRecord
from growsearch.trial.options import Role


@dataclass(frozen=True)
class EpochWork:
    """What one epoch does, as far as it is known before it is trained."""

    architecture: str
    parameters: int
    macs: int
    """Multiply-accumulates for one image."""
    images: float


@dataclass(frozen=True, kw_only=True)
class Cost(Component, ABC):
    """What a trial costs, as the sum or the mean of its epochs' costs. No epoch's is negative."""

    kind = "cost"
    role = Role.RECORD
    unit: ClassVar[str] = ""
    column: ClassVar[str]
    """The column of results that has it: the trial's so far in each row of an epoch, or, where
    `summed`, the epoch's alone."""
    summed: ClassVar[bool] = False
    mean: ClassVar[bool] = False
    """Whether a trial's cost is the mean over its epochs, not the sum."""

    @abstractmethod
    def of_epoch(self, work: EpochWork, record: EpochRecord) -> float:
        """The cost of an epoch that was trained."""

    def least(self, work: EpochWork) -> float:
        """A lower bound of the cost of an epoch before it is trained; 0 is always one."""
        return 0.0


@dataclass(frozen=True, kw_only=True)
class Metric(Component, ABC):
    """What a search may call accuracy: a column of results, of validation data alone."""

    kind = "metric"
    role = Role.RECORD
    column: ClassVar[str]
    lowest: ClassVar[float]
    highest: ClassVar[float]
    """The range in which hypervolumes are measured, of `value`."""
    minimized: ClassVar[bool] = False

    def value(self, number: float) -> float:
        """The metric as a number of which more is better: a loss is negated."""
        return -number if self.minimized else number
