"""Checks that a trial comes to the same however it is run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from growsearch.checks.outcome import Fault, Found
from growsearch.checks.subject import EPOCHS, Subject
from growsearch.checks.tensors import first_difference
from growsearch.epochs.store import EpochStore
from growsearch.trainer import Trainer
from growsearch.training.state import TrainState
from growsearch.trial.history import EpochRecord

_UNCOMPARED = tuple(name for name, f in EpochRecord.__dataclass_fields__.items() if not f.compare)


def check_resuming(subject: Subject, folder: Path) -> Found:
    """A trial that is saved, loaded and continued is the one that went straight through."""
    trainer = Trainer(
        subject.config, dataset=subject.task.loaded, store=EpochStore(str(folder / "epochs")),
        keep_states="all",
    )  # fmt: skip
    for record in trainer:
        if not trainer.finished:
            trainer.save(folder / f"{record.epoch}.pt")
    if len(trainer.history) < EPOCHS:
        last = trainer.history[-1]
        raise Fault(
            f"the trial ended in epoch {last.epoch} as {last.status} with training loss "
            f"{last.train_loss:.4g}; give a smaller --lr than {subject.config.lr:g}",
            "loss",
        )
    subject.learned["straight"] = Straight(trainer)
    for epoch in range(1, EPOCHS):
        continued = Trainer.load(folder / f"{epoch}.pt")
        for _ in continued:
            pass
        check_same_trial(
            subject.learned["straight"], continued.history, tensors_of(continued.state),
            f"straight through, and continued after epoch {epoch}",
        )  # fmt: skip
    grown = ", ".join(map(str, trainer.history.growth_epochs))
    return Found(
        f"saved after epochs 1 and 2, it continues to the same bits across the growth after {grown}"
    )


class Straight:
    """Records and tensors of the trial that went straight through."""

    def __init__(self, trainer: Trainer) -> None:
        self.history = trainer.history
        self.tensors = tensors_of(trainer.state)


def tensors_of(state: TrainState) -> dict[str, Tensor]:
    """Weights, buffers and optimizer state by name."""
    return dict(_flat(state.contents(), ""))


def _flat(value: Any, name: str) -> Any:
    if isinstance(value, Tensor):
        yield name, value.detach().clone()
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _flat(part, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for i, part in enumerate(value):
            yield from _flat(part, f"{name}.{i}")


def check_same_trial(
    straight: Straight, records: Sequence[EpochRecord], tensors: Mapping[str, Tensor], ways: str
) -> None:
    """Raises a Fault that names the first number or tensor that differs between two `ways`."""
    check_same_records(straight.history, records, ways)
    if name := first_difference(straight.tensors, tensors):
        raise Fault(
            f"tensor {name!r} differs after the last epoch: {ways}; let each draw come from (seed, "
            "epoch), and keep nothing between epochs outside of the model",
            "batches",
        )


def check_same_records(one: Sequence[EpochRecord], other: Sequence[EpochRecord], ways: str) -> None:
    """Raises a Fault that names the first field that differs."""
    for a, b in zip(one, other, strict=False):
        mine, others = a.to_dict(), b.to_dict()
        for name in mine:
            if name not in _UNCOMPARED and repr(mine[name]) != repr(others[name]):
                raise Fault(
                    f"{name} of epoch {a.epoch} is {mine[name]} and {others[name]}: {ways}; let "
                    "each draw come from (seed, epoch), and keep nothing between epochs outside "
                    "of the model",
                    "batches",
                )
    if len(one) != len(other):
        raise Fault(f"{len(one)} and {len(other)} epochs: {ways}", "batches")


def check_store(subject: Subject, folder: Path) -> Found:
    """A trial whose epochs are all in a store trains none, and has their records and weights."""
    straight: Straight = subject.learned["straight"]
    trainer = Trainer(
        subject.config, dataset=subject.task.loaded, store=EpochStore(str(folder / "epochs")),
    )  # fmt: skip
    for record in trainer:
        if not trainer.recalled:
            raise Fault(
                f"epoch {record.epoch} is trained again: its key differs, as data_digest() or the "
                "options do",
                "data_digest",
            )
    check_same_trial(
        straight, trainer.history, tensors_of(trainer.state), "trained, and from the store"
    )
    return Found(f"{len(trainer.history)} of {EPOCHS} epochs recalled, records and weights equal")
