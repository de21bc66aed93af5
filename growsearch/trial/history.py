"""What happened: one record an epoch, never changed afterwards."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from types import UnionType
from typing import Any, get_args, get_origin

from growsearch.trial.status import Status

TRAINING, INITIALIZING, FINE_TUNING = "training", "initializing", "fine-tuning"
"""Phases: the network trains and may grow; new blocks train apart; the found network trains on."""


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """One trained epoch. Accuracies are in percent, losses mean cross-entropy in nats.

    Two records are equal when training was: wall time is not compared.
    """

    epoch: int
    """Epochs completed, this one included: the first is 1."""
    architecture: str
    """What was trained in this epoch."""
    parameters: int
    param_epochs: int
    """Parameters summed over the epochs so far."""
    ppe: float
    """Parameters per epoch so far (LipGrow, section 5.3): param_epochs / epoch."""
    lr: float
    """The mean over the steps of the epoch, in which it may change."""
    train_loss: float
    val_loss: float
    val_accuracy: float | None
    """None if the task has no accuracy, as with the others."""
    test_accuracy: float | None
    """Recorded only: no decision reads it. None if the task has no test data."""
    lipschitz: float | None
    """Mean Lipschitz constant of the residual blocks after the epoch; None if the task has none."""
    grew: bool
    """Whether the network grew after this epoch."""
    seconds: float = field(compare=False)
    """Wall time of the epoch: training, evaluation, Lipschitz constants, growth, and store."""
    status: Status
    """Status of the trial after this epoch. Text is converted."""

    phase: str
    """training, initializing (new blocks apart from the others), or fine-tuning."""
    train_accuracy: float | None
    """While training, on augmented images."""
    macs: int
    """Multiply-accumulates of the network for one example."""
    example_tokens: int = 1
    """Tokens of one example; 1 for a task without tokens."""
    decision: str | None = field(compare=False)
    """What was decided after the epoch, in words: to grow or to fine-tune, and why."""
    key: str
    """What the epoch depends on, hashed: trials that share it share all epochs so far."""
    precision: str = "float32"
    """What it was trained and evaluated in; the default is that of records from before there was
    a choice, as with `compiled`."""
    compiled: bool = False
    """Whether training steps were compiled."""
    reused: bool = field(compare=False)
    """Whether the epoch was remembered, not trained; its seconds are those of its training."""
    train_flops: float
    """FLOPs of the epochs so far: 6 * macs * images. A multiply-accumulate is two FLOPs, and the
    backward pass takes twice as many as the forward pass."""
    lipschitz_subnetworks: tuple[float, ...] | None
    """The mean over each sub-network's blocks."""
    lipschitz_blocks: tuple[float, ...] | None
    """Each block's, if recorded."""
    lipschitz_layers: tuple[float, ...] | None
    """Each layer's, if recorded: for each block its two convolutions and their normalizations, as
    conv1, bn1, conv2, bn2. By Jacobians a block is one layer."""
    train_seconds: float = field(compare=False)
    eval_seconds: float = field(compare=False)
    """What is measured of a growth included."""
    lipschitz_seconds: float = field(compare=False)
    growth_seconds: float = field(compare=False)
    """Seconds to build the grown network; 0 if it did not grow."""
    store_seconds: float = field(default=0.0, compare=False)
    """Seconds in which this trial read and wrote the epoch store, also for a reused epoch."""
    grown_val_loss: float | None
    """Validation loss just after the growth; `val_loss` is the one just before. This and the
    following are None if the network did not grow."""
    grown_val_accuracy: float | None
    temporal_error: tuple[float, ...] | None
    """By sub-network, as the next two: see theory.GrowthMeasures."""
    functional_difference: tuple[float | None, ...] | None
    temporal_bound: tuple[float | None, ...] | None
    metrics: dict[str, float] = field(default_factory=dict, hash=False)
    """What else the task's `evaluate` gives, like val_perplexity, and test_loss; by Jacobians
    lipschitz_max, the largest norm of any block at any example."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", Status(self.status))

    @property
    def quality(self) -> float:
        """By which the best epoch is chosen, more is better: validation accuracy, or where there is
        none minus the validation loss. A value that is no number is the worst.
        """
        value = -self.val_loss if self.val_accuracy is None else self.val_accuracy
        return -math.inf if math.isnan(value) else value

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, of plain values: numbers, text, tuples and None."""
        return vars(self) | {"status": self.status.value, "metrics": dict(self.metrics)}

    def to_result(self) -> dict[str, Any]:
        """As `to_dict`, and each of `metrics` under the name of its column, like
        metric/val_perplexity.
        """
        return self.to_dict() | {f"{OWN}{name}": value for name, value in self.metrics.items()}


OWN = "metric/"
"""What columns of a task's own numbers begin with."""
RECORD_FIELDS = tuple(f.name for f in fields(EpochRecord))
NUMBERS = tuple(f.name for f in fields(EpochRecord) if f.type in (int, float, float | None))
"""Fields of records that are numbers."""
_TYPES: dict[str, Any] = {f.name: f.type for f in fields(EpochRecord)}


def unknown_record(epoch: int, phase: str, architecture: str) -> EpochRecord:
    """A record of an epoch that was never trained: numbers are NaN, counts are 0."""
    nothing: dict[Any, Any] = {float: math.nan, int: 0, bool: False, str: ""}
    values: dict[str, Any] = {f.name: nothing.get(f.type) for f in fields(EpochRecord)}
    values |= {
        "epoch": epoch,
        "phase": phase,
        "architecture": architecture,
        "metrics": {},
        "status": Status.RUNNING,
    }
    return EpochRecord(**values | {"status": Status.RUNNING})


def record_among(values: Mapping[str, Any]) -> EpochRecord:
    """The record whose fields are among `values`, where tuples may have become lists."""
    return EpochRecord(**with_tuples({n: values[n] for n in RECORD_FIELDS if n in values}))


def with_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` of a record that were written down, where a tuple becomes a list."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}


def check_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of records from JSON that others may have written, with tuples.

    Raises ValueError for one that no record has, or of another type.
    """
    checked = with_tuples(values)
    for name, value in checked.items():
        if name not in _TYPES:
            raise ValueError(f"no record has a field {name[:100]!r}")
        if not _is_a(value, _TYPES[name]):
            raise ValueError(f"{name} is {str(value)[:100]!r}")
    return checked


def _is_a(value: Any, kind: Any) -> bool:
    if isinstance(kind, UnionType):
        return any(_is_a(value, one) for one in get_args(kind))
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_is_a(one, get_args(kind)[0]) for one in value)
    if get_origin(kind) is dict:
        return isinstance(value, dict) and all(_is_a(one, float) for one in value.values())
    if kind is Status:
        return value in tuple(Status)
    if kind in (int, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind)


class History(tuple[EpochRecord, ...]):
    """The records of a trial so far, in order; `plus` returns a longer one."""

    __slots__ = ()

    def plus(self, record: EpochRecord) -> "History":
        return History((*self, record))

    def revised(self, **changes: Any) -> "History":
        """With its last record changed."""
        return History((*self[:-1], replace(self[-1], **changes)))

    @property
    def growth_epochs(self) -> tuple[int, ...]:
        return tuple(record.epoch for record in self if record.grew)

    @property
    def trained(self) -> "History":
        """Without the epochs that initialized new blocks: what policies and learning rates count.

        So intervals and accuracies are those of whole networks; AutoGrow's paper leaves it open.
        """
        return History(record for record in self if record.phase != INITIALIZING)

    @property
    def last_growth(self) -> int:
        """Records up to the last growth; 0 before the first."""
        return max((i for i, record in enumerate(self, start=1) if record.grew), default=0)

    @property
    def since_growth(self) -> tuple[EpochRecord, ...]:
        """The records of the present architecture."""
        return self[self.last_growth :]


def in_words(growth_epochs: Sequence[int]) -> str:
    """ "never", "60, 110", or "3, 6, 9 ... 369 (123 growths)"."""
    if len(growth_epochs) <= 5:
        return ", ".join(map(str, growth_epochs)) or "never"
    first = ", ".join(map(str, growth_epochs[:3]))
    return f"{first} ... {growth_epochs[-1]} ({len(growth_epochs)} growths)"
