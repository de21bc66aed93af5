"""What a search may call cost, and what it may call accuracy: the base classes."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar, cast

from growsearch.tasks.flops import FLOPS_PER_MAC
from growsearch.trial.components import Component, component, components
from growsearch.trial.history import NUMBERS, EpochRecord
from growsearch.trial.options import Role, suggestion


@dataclass(frozen=True)
class EpochWork:
    """What one epoch does, as far as it is known before it is trained."""

    architecture: str
    parameters: int
    macs: int
    """Multiply-accumulates for one example."""
    images: float
    """Examples trained on; 0 if the network has no multiply-accumulates that torch counts."""
    tokens: float = 0.0
    """Tokens trained on: those of an example, times `images`."""


@dataclass(frozen=True, kw_only=True)
class Cost(Component, ABC):
    """What a trial costs, as the sum or the mean of its epochs' costs. No epoch's is negative."""

    kind = "cost"
    role = Role.RECORD
    unit: ClassVar[str] = ""
    column: ClassVar[str] = ""
    """The field of a record that has it. By default it is no field of records: then results have a
    column "cost/<name>" with the trial's cost up to each epoch."""
    mean: ClassVar[bool] = False
    """Whether a trial's cost is the mean over its epochs, not the sum."""

    @classmethod
    def result(cls) -> str:
        """The name of its column in results."""
        return cls.column or f"cost/{cls.name}"

    @abstractmethod
    def of_epoch(self, work: EpochWork, record: EpochRecord) -> float:
        """The cost of an epoch that was trained."""

    @classmethod
    def flaw(cls) -> str | None:
        return _column_flaw(cls.column) if cls.column else None

    def least(self, work: EpochWork) -> float:
        """A lower bound of the cost of an epoch before it is trained; 0 is always one."""
        return 0.0


@dataclass(frozen=True, kw_only=True)
class Metric(Component, ABC):
    """What a search may call accuracy: a field of EpochRecord, of validation data alone."""

    kind = "metric"
    role = Role.RECORD
    column: ClassVar[str]
    lowest: ClassVar[float]
    highest: ClassVar[float]
    """The range in which hypervolumes are measured, of `value`."""
    minimized: ClassVar[bool] = False
    reads: ClassVar[tuple[str, ...]] = ()
    """What it reads that not every task has; see Policy.reads."""
    unit: ClassVar[str] = ""
    label: ClassVar[str] = ""
    """What messages call it; by default its name."""

    @classmethod
    def flaw(cls) -> str | None:
        if cls.column.startswith("test_"):
            return f"reads the test images' {cls.column!r}; choose a column of validation data"
        return _column_flaw(cls.column)

    def value(self, number: float) -> float:
        """The metric as a number of which more is better: a loss is negated."""
        return -number if self.minimized else number


def _column_flaw(column: str) -> str | None:
    if column in NUMBERS:
        return None
    return f"has the column {column!r}, which is no number of an epoch{suggestion(column, NUMBERS)}"


def cost_of(name: str) -> Cost:
    """The cost of this name; InputError if there is none."""
    return cast(Cost, component("cost", name)())


def metric_of(name: str) -> Metric:
    """The metric of this name; InputError if there is none."""
    return cast(Metric, component("metric", name)())


def lower_is_better(column: str) -> bool:
    """Whether less is better in a column of results: of a metric that says so, or of a loss."""
    known = {metric.column: metric for metric in map(metric_of, components("metric"))}
    return known[column].minimized if column in known else column.endswith("loss")


def costs() -> dict[str, Cost]:
    """All costs by name."""
    return {name: cost_of(name) for name in components("cost")}


def metrics() -> dict[str, Metric]:
    """All metrics by name."""
    return {name: metric_of(name) for name in components("metric")}


def summed_costs() -> dict[str, Cost]:
    """By name, the costs that a search may have a budget of: those that are sums over epochs."""
    return {name: cost for name, cost in costs().items() if not cost.mean}


def work_of(record: EpochRecord, flops_before: float) -> EpochWork:
    """What a recorded epoch did, given the training FLOPs before it."""
    flops = record.train_flops - flops_before
    images = flops / (FLOPS_PER_MAC * record.macs) if record.macs else 0.0
    tokens = images * record.example_tokens
    return EpochWork(record.architecture, record.parameters, record.macs, images, tokens)


def cost_so_far(cost: Cost, records: Iterable[EpochRecord]) -> list[float]:
    """The trial's cost up to each of its epochs."""
    spent, flops = [], 0.0
    for record in records:
        spent.append(cost.of_epoch(work_of(record, flops), record))
        flops = record.train_flops
    return [total / n if cost.mean else total for n, total in enumerate(accumulate(spent), 1)]
