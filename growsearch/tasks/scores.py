"""Losses, accuracies and costs of a task that does not say its own."""

import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from growsearch.machine.batches import add_tensor, in_sum, moved, named_parts, size, tensors
from growsearch.machine.compiling import uncompiled
from growsearch.machine.processes import ranks
from growsearch.machine.randomness import seeded
from growsearch.tasks.first_look import check_tensors
from growsearch.trial.errors import InputError
from growsearch.trial.options import Role

if TYPE_CHECKING:
    from growsearch.tasks.task import Task

HASHED_BATCHES = 4
"""Batches of each split that are part of the hash of a task's data."""


_IGNORED = -100
"""The target that F.cross_entropy ignores by default."""


class Classified(NamedTuple):
    """A batch, classified."""

    loss: Tensor
    """The mean cross-entropy in nats."""
    correct: Tensor
    """How many examples are right; for sequences the sum over them of the share that is right.

    Scaled as if ignored targets were right as often as the others of the batch.
    """


def classified(model: nn.Module, batch: Any) -> Classified:
    """The cross-entropy of `model(inputs)`, [n, ..., classes], for batches (inputs, targets).

    Targets of -100 are ignored, as torch's cross-entropy does.
    """
    if not (isinstance(batch, tuple | list) and len(batch) == 2):
        raise InputError(
            f"a batch is a {type(batch).__name__}, but the default loss needs a pair (inputs, "
            "targets); yield pairs, or define loss(self, model, batch)"
        )
    inputs, targets = batch
    logits = model(inputs)
    shapes = getattr(logits, "shape", ()), targets.shape
    if shapes[0][:-1] != shapes[1] or targets.is_floating_point():
        what = f"{tuple(shapes[0])}" if shapes[0] else f"no tensor but a {type(logits).__name__}"
        raise InputError(
            f"model(inputs) gives {what} for targets {tuple(shapes[1])} of {targets.dtype}, and "
            "the default loss needs logits (*targets.shape, classes) and integer targets; define "
            "loss(self, model, batch)"
        )
    loss = F.cross_entropy(logits.flatten(0, -2), targets.flatten())
    right = (logits.detach().argmax(dim=-1) == targets).float()
    correct = right.flatten(1).mean(dim=1).sum() if right.dim() > 1 else right.sum()
    counted = (targets != _IGNORED).sum().clamp(min=1)
    return Classified(loss, correct * (targets.numel() / counted))


@uncompiled()
@torch.no_grad()
def mean_scores(task: "Task", model: nn.Module, split: str) -> Mapping[str, float]:
    """Mean loss, and accuracy in percent if the task has one, over the examples of `split`."""
    processes = ranks()
    total = torch.zeros(3, dtype=torch.float64, device=task.device)
    batches = task.batches(split, task.trial.seed, 0)
    for batch in itertools.islice(batches, processes.rank, None, processes.count):
        n = size(batch)
        loss, correct = task.score(model, moved(batch, task.device))
        if task.has_accuracy and correct is None:
            raise InputError(
                f"task {task.name!r} says has_accuracy, but defines loss and not evaluate, so "
                'nothing tells what is right; define evaluate to return "accuracy" as well, or '
                "leave has_accuracy out"
            )
        total[0] += in_sum(loss, n)
        total[1] += correct if correct is not None else 0
        total[2] += n
    loss_sum, right, count = processes.total(total).tolist()
    if not count:
        raise InputError(
            f"batches({split!r}, ...) of task {task.name!r} yields nothing; yield at least one "
            "batch, or leave the split out of splits"
        )
    found = {"loss": loss_sum / count}
    return found | {"accuracy": 100 * right / count} if task.has_accuracy else found


def count_parameters(network: nn.Module) -> int:
    """The number of trainable parameters, without the running statistics of normalizations."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def counted_macs(task: "Task", model: nn.Module) -> int:
    """Multiply-accumulates of the forward pass for one example of a validation batch.

    The model is in evaluation mode afterwards.
    """
    batch = next(iter(task.batches("val", task.trial.seed, 0)))
    on = next(model.parameters()).device
    model.eval()
    return round(macs_of(lambda: task.loss(model, moved(batch, on))) / size(batch))


@uncompiled()
@torch.no_grad()
def macs_of(computed: Callable[[], object]) -> float:
    """Multiply-accumulates of a call.

    Counts what torch counts: matrix products, convolutions and attention.
    """
    from torch.utils.flop_counter import FlopCounterMode

    with seeded(0), _counted_kernels(), FlopCounterMode(display=False) as counter:
        computed()
    return counter.get_total_flops() / 2


@contextmanager
def _counted_kernels() -> Iterator[None]:
    """Layers that torch computes by one kernel, which it does not count, are computed by others."""
    from torch.backends import mha, mkldnn
    from torch.nn.attention import SDPBackend, sdpa_kernel

    before = mha.get_fastpath_enabled(), mkldnn.enabled
    mha.set_fastpath_enabled(False)
    mkldnn.enabled = False  # type: ignore[assignment]  # its setter
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        mha.set_fastpath_enabled(before[0])
        mkldnn.enabled = before[1]


def first_batches_digest(task: "Task") -> str:
    """A hash of `data_dir`, the task's options of role data, `loaded` and the first batches."""
    digest = hashlib.sha256()
    for name, value in named_parts(task.loaded, "loaded"):
        _add_numbers(digest, name, value)
    if (place := task.trial.data_dir) is not None:
        if Path(place).exists():
            _add_path(digest, Path(place))
        else:  # the name of something that `load` finds elsewhere
            digest.update(place.encode())
    rules = type(task).options()
    # keys have no values of these, and later batches may depend on them
    if of_data := {n: v for n, v in task.values().items() if rules[n].role is Role.DATA}:
        digest.update(repr(sorted(of_data.items())).encode())
    for split in task.splits:
        with seeded(0):
            for batch in itertools.islice(task.batches(split, 0, 1), HASHED_BATCHES):
                check_tensors(task, split, batch)
                for tensor in tensors(batch):
                    add_tensor(digest, split, tensor)
    return digest.hexdigest()


def _add_numbers(digest: Any, name: str, value: Any) -> None:
    """Adds a dense tensor, or an array of NumPy, but for a file that is mapped."""
    if isinstance(value, np.ndarray):
        if not isinstance(value, np.memmap) and not value.dtype.hasobject:
            digest.update(f"{name} {value.dtype} {value.shape}".encode())
            digest.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
    elif isinstance(value, Tensor):
        dense = value.layout is torch.strided and not (value.is_nested or value.is_quantized)
        if dense:
            add_tensor(digest, name, value)


def _add_path(digest: Any, path: Path) -> None:
    if path.is_file():
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
        return
    for file_path in sorted(_files(path, set())):
        about = file_path.stat()
        name = file_path.relative_to(path)
        digest.update(f"{name} {about.st_size} {about.st_mtime_ns}".encode())


def _files(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """The files in the folder and within, also where links lead to; each folder once."""
    if (real := folder.resolve()) in seen:
        return
    seen.add(real)
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from _files(path, seen)
        elif path.is_file():
            yield path
