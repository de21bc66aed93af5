"""Checks that a trial comes to the same however it is run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from growsearch.checks.outcome import CLASS, Fault, Held
from growsearch.checks.subject import EPOCHS, Subject
from growsearch.checks.tensors import first_difference
from growsearch.epochs.store import EpochStore
from growsearch.tasks.task import Task
from growsearch.trainer import Trainer
from growsearch.training.state import TrainState
from growsearch.trial.errors import InputError
from growsearch.trial.history import EpochRecord

_UNCOMPARED = tuple(name for name, f in EpochRecord.__dataclass_fields__.items() if not f.compare)


def check_resuming(subject: Subject, folder: Path) -> Held:
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
        try:
            continued = Trainer.load(folder / f"{epoch}.pt")
        except InputError as error:
            said = f"it cannot be continued after epoch {epoch}: {error}"
            raise Fault(said, "data_digest") from None
        for _ in continued:
            pass
        check_same_trial(
            subject.learned["straight"], continued.history, tensors_of(continued.state),
            f"straight through, and continued after epoch {epoch}",
        )  # fmt: skip
    return Held("saved before and after the growth, it continues to the same bits")


class Straight:
    """Records and tensors of the trial that went straight through."""

    def __init__(self, trainer: Trainer) -> None:
        self.history = trainer.history
        self.tensors = tensors_of(trainer.state)
        kept = ", ".join(map(repr, _kept(trainer.task)))
        self.remedy = (
            "let each draw come from (seed, epoch), and keep nothing between epochs outside of the "
            "model's parameters and buffers" + (f", as the task keeps {kept}" if kept else "")
        )


def _kept(task: Task) -> list[str]:
    """The attributes that the task object has got besides its options and cached properties."""
    return [
        name
        for name in vars(task)
        if not name.startswith("_") and name not in task.values() and not hasattr(type(task), name)
    ]


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
    check_same_records(straight, records, ways)
    if name := first_difference(straight.tensors, tensors):
        raise Fault(
            f"tensor {name!r} differs after the last epoch: {ways}; {straight.remedy}", CLASS
        )


def check_same_records(straight: Straight, records: Sequence[EpochRecord], ways: str) -> None:
    """Raises a Fault that names the first field that differs."""
    for a, b in zip(straight.history, records, strict=False):
        mine, others = a.to_dict(), b.to_dict()
        for name in mine:
            if name in _UNCOMPARED or repr(mine[name]) == repr(others[name]):
                continue
            if name == "key":
                raise Fault(
                    f"the store key of epoch {a.epoch} differs: {ways}; let data_digest() depend "
                    "on the data alone",
                    "data_digest",
                )
            raise Fault(
                f"{name} of epoch {a.epoch} is {mine[name]} and {others[name]}: {ways}; "
                f"{straight.remedy}",
                CLASS,
            )
    if len(straight.history) != len(records):
        raise Fault(f"{len(straight.history)} and {len(records)} epochs: {ways}", CLASS)


def check_store(subject: Subject, folder: Path) -> Held:
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
    return Held(f"{len(trainer.history)} of {EPOCHS} epochs recalled, records and weights equal")
