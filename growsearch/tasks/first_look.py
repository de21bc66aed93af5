"""What can be wrong with a task, found before its first trial starts."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from growsearch.machine.batches import equal, mapped, moved, tensors
from growsearch.machine.randomness import seeded
from growsearch.tasks.seed_models import built
from growsearch.trial.architecture import Architecture
from growsearch.trial.errors import InputError

if TYPE_CHECKING:
    from growsearch.tasks.task import Task


def first_look(task: "Task") -> None:
    """Builds the task's models at two depths, and takes the loss of its first batches.

    Raises InputError, one line, for what cannot work: see also `growsearch check-task`.
    """
    seed = Architecture(task.trial.architecture)
    model = built(task, seed, seed=0)
    if task.trial.policy.grows:
        built(task, Architecture(n + 1 for n in seed.blocks), seed=0)
    for split in task.splits:
        batch, again = _first(task, split), _first(task, split)
        check_tensors(task, split, batch)
        if not _equal(batch, again):
            raise InputError(
                f"batches({split!r}, seed={task.trial.seed}, epoch=1) of task {task.name!r} gives "
                "another first batch when it is called again; draw random numbers from "
                "growsearch.generator(seed, epoch, ...)"
            )
        for tensor in tensors(batch):
            if tensor.is_floating_point() and not tensor.isfinite().all():
                raise InputError(
                    f"the first batch of {split!r} of task {task.name!r} has NaN or infinite "
                    "numbers; mend the data"
                )
    batch = moved(_first(task, "train"), torch.device("cpu"))
    used = mapped(batch, Tensor.clone)
    with seeded(0):
        loss = task.loss(model, used)
    check_loss(task, loss)
    if not _equal(batch, used):
        raise InputError(
            f"loss of task {task.name!r}, or its model, changes its batch in place, and so the "
            "data of later epochs; work on a copy, like x = x - mean"
        )


def check_tensors(task: "Task", split: str, batch: Any) -> None:
    """Raises InputError for a batch without tensors: it has no size, no device and no hash."""
    if next(iter(tensors(batch)), None) is None:
        raise InputError(
            f"a batch of {split!r} of task {task.name!r} is a {type(batch).__name__} without "
            "tensors that growsearch can see; yield tensors, or tuples, lists or dicts of them"
        )


def check_loss(task: "Task", loss: Any) -> None:
    """Raises InputError unless the loss is a scalar that depends on parameters."""
    if not isinstance(loss, Tensor) or loss.dim():
        given = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise InputError(
            f"loss of task {task.name!r} has {given}; return a scalar, the mean over the batch"
        )
    if not loss.requires_grad:
        raise InputError(
            f"loss of task {task.name!r} has no gradient; compute it from the model's output "
            "without detach, item or no_grad"
        )


def _first(task: "Task", split: str) -> Any:
    with seeded(0):
        for batch in task.batches(split, task.trial.seed, 1):
            return batch
    raise InputError(
        f"batches({split!r}, ...) of task {task.name!r} yields nothing; yield at least one batch"
    )


def _equal(one: Any, other: Any) -> bool:
    mine, others = list(tensors(one)), list(tensors(other))
    return len(mine) == len(others) and all(map(equal, mine, others))
