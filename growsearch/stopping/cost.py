"""What a search may call cost, and what it may call accuracy: the base classes."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar, cast

from growsearch.tasks.flops import FLOPS_PER_MAC
from growsearch.trial.amount import as_amount
from growsearch.trial.components import Component, component, components
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import NUMBERS, OWN, EpochRecord
from growsearch.trial.kinds import reads_flaw
from growsearch.trial.options import Role, option, shortened, suggestion


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
    title: ClassVar[str] = ""
    """What figures call it; by default its name in words."""
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
        return _column_flaw(cls.column) or reads_flaw(cls)

    def value(self, number: float) -> float:
        """The metric as a number of which more is better: a loss is negated."""
        return -number if self.minimized else number

    def of(self, record: EpochRecord) -> float:
        """The number of an epoch; NaN if it has none."""
        number = getattr(record, self.column)
        return math.nan if number is None else number

    @property
    def title(self) -> str:
        """What tables and figures call it."""
        return self.column.removeprefix(OWN).replace("_", " ")


@dataclass(frozen=True, kw_only=True)
class OwnNumber(Metric):
    """A number of a task's own, which its `evaluate` gives of validation data."""

    lowest, highest = -math.inf, math.inf

    number: str = option("", "its name in records, like val_perplexity")
    better: str = option("lower", "which is better", choices=("lower", "higher"))

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.column

    @property
    def column(self) -> str:  # type: ignore[override]
        return f"{OWN}{self.number}"

    @property
    def minimized(self) -> bool:  # type: ignore[override]
        return self.better == "lower"

    @property
    def label(self) -> str:  # type: ignore[override]
        return self.title

    def of(self, record: EpochRecord) -> float:
        return record.metrics.get(self.number, math.nan)


def named_metric(name: str, numbers: Mapping[str, str]) -> Metric:
    """The metric of this name: a component, or one of a task's own `numbers`.

    These are names in records with which is better, like {"val_perplexity": "lower"}. Raises
    InputError for any other name, which lists what there is.
    """
    if name in components("metric"):
        return metric_of(name)
    number = name.removeprefix(OWN)
    if number not in numbers:
        known = (*components("metric"), *(f"{OWN}{number}" for number in numbers))
        raise InputError(
            f"unknown metric {name[:100]!r}{suggestion(name, known)}; a number of a task's own is "
            'one if the task says so, like own_metrics = {"perplexity": "lower"}'
        )
    return OwnNumber(number=number, better=numbers[number])


def own_numbers(configs: Iterable[TrialConfig]) -> dict[str, str]:
    """The numbers that the trials' tasks say they have of their own; see `named_metric`."""
    tasks = {type(config.task): config.task for config in configs}.values()
    return {f"val_{name}": better for task in tasks for name, better in task.own_metrics.items()}


def search_metric(
    name: str, configs: Iterable[TrialConfig], numbers: Mapping[str, str] | None = None
) -> Metric:
    """The metric `name` of trials; `numbers` are those that are known of their tasks.

    Raises InputError if there is none, or if a trial's task does not have it.
    """
    configs = list(configs)
    metric = named_metric(name, {**(numbers or {}), **own_numbers(configs)})
    for config in configs:
        config.check_reads(metric)
        if isinstance(metric, OwnNumber) and metric.number not in own_numbers([config]):
            raise InputError(
                f"metric {name!r} is of another task than {config.task.name!r}; search tasks that "
                "have it, or choose metric 'val_loss'"
            )
    return metric


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
    """Whether less is better in a column of results: a metric's, or a loss or an accuracy.

    Raises InputError for another, like a task's own number, whose column does not tell.
    """
    known = {metric.column: metric for metric in map(metric_of, components("metric"))}
    if column in known:
        return known[column].minimized
    if column.endswith(("loss", "accuracy")):
        return column.endswith("loss")
    raise InputError(
        f"{column!r} does not tell whether less is better; give minimized=True if it is, or False"
    )


def costs() -> dict[str, Cost]:
    """All costs by name."""
    return {name: cost_of(name) for name in components("cost")}


def metrics() -> dict[str, Metric]:
    """All metrics by name."""
    return {name: metric_of(name) for name in components("metric")}


def summed_costs() -> dict[str, Cost]:
    """By name, the costs that a search may have a budget of: those that are sums over epochs."""
    return {name: cost for name, cost in costs().items() if not cost.mean}


def check_paid(name: str) -> None:
    """InputError unless epochs are paid in the cost: unless it is a sum over epochs."""
    if name not in (known := summed_costs()):
        raise InputError(
            f"cost {name!r} is no sum over epochs, so it cannot be paid epoch by epoch"
            f"{suggestion(name, list(known))}"
        )


def work_of(record: EpochRecord, flops_before: float) -> EpochWork:
    """What a recorded epoch did, given the training FLOPs before it."""
    flops = record.train_flops - flops_before
    images = flops / (FLOPS_PER_MAC * record.macs) if record.macs else 0.0
    tokens = images * record.example_tokens
    return EpochWork(record.architecture, record.parameters, record.macs, images, tokens)


def cost_of_epoch(cost: Cost, work: EpochWork, record: EpochRecord) -> float:
    """What an epoch that was trained costs.

    Raises InputError if a cost of the user's own gives no finite number of at least 0.
    """
    found = cost.of_epoch(work, record)
    return _checked(cost, found, "of_epoch", f"in epoch {record.epoch}")


def least_of_epoch(cost: Cost, work: EpochWork) -> float:
    """What an epoch costs at least, before it is trained.

    Raises InputError if a cost of the user's own gives no finite number of at least 0.
    """
    return _checked(cost, cost.least(work), "least", f"for an epoch of {work.architecture}")


def _checked(cost: Cost, found: float, method: str, where: str) -> float:
    if cost.plugin is None:
        return found
    if (amount := as_amount(found)) is None:
        raise InputError(
            f"{method} of cost {cost.name!r} returned {shortened(found)} {where}; return a finite "
            "number of at least 0"
        )
    return amount


def check_least(cost: Cost, work: EpochWork, spent: float, epoch: int) -> None:
    """InputError if `least` of the user's own cost is above what the epoch has cost."""
    least = least_of_epoch(cost, work) if cost.plugin is not None else 0.0
    if least > spent * (1 + 1e-6):
        raise InputError(
            f"least of cost {cost.name!r} is {least:g} for epoch {epoch}, which cost {spent:g}, "
            "and trials would be stopped wrongly; return a lower bound, or leave least out"
        )


def epoch_costs(cost: Cost, records: Iterable[EpochRecord]) -> list[float]:
    """What each of a trial's epochs costs."""
    spent, flops = [], 0.0
    for record in records:
        spent.append(cost_of_epoch(cost, work_of(record, flops), record))
        flops = record.train_flops
    return spent


def cost_so_far(cost: Cost, records: Iterable[EpochRecord]) -> list[float]:
    """The trial's cost up to each of its epochs."""
    spent = epoch_costs(cost, records)
    return [total / n if cost.mean else total for n, total in enumerate(accumulate(spent), 1)]
