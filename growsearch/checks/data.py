"""Checks of a task's batches."""

import hashlib
import time
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from growsearch.checks.limited import unlimited
from growsearch.checks.outcome import Fault, Held, Inapplicable
from growsearch.checks.subject import Subject
from growsearch.checks.tensors import digest
from growsearch.machine.batches import moved, named_tensors
from growsearch.machine.randomness import seeded
from growsearch.tasks.seed_models import built
from growsearch.tasks.task import Task

COUNTED_SECONDS = 3.0
"""The time in which the batches of two whole epochs are counted, each."""

Batches = list[dict[str, str]]
"""A hash of each tensor of each batch, by its name: the tensors may take much memory."""


def batches_of(task: Task, split: str, seed: int, epoch: int, drawn: int = 0) -> Batches:
    """What the batches are. `drawn` seeds the global generators, which must not matter."""
    with seeded(drawn):
        return [
            {name: digest({name: tensor}) for name, tensor in named_tensors(batch)}
            for batch in task.batches(split, seed, epoch)
        ]


def check_batches(subject: Subject) -> Held:
    """Batches depend on split, seed and epoch alone, and those of evaluation on the split."""
    task, seed = subject.task, subject.config.seed
    hashes = {}
    for split in task.splits:
        first = batches_of(task, split, seed, 1)
        if not first:
            raise Fault(f"batches({split!r}, ...) yields nothing; yield a batch", "batches")
        call = f"batches({split!r}, seed={seed}, epoch=1)"
        _check_same(first, batches_of(task, split, seed, 1), f"{call} differs between two calls")
        _check_same(
            first, batches_of(task, split, seed, 1, drawn=1),
            f"{call} depends on the global random state",
        )  # fmt: skip
        if split != "train":
            _check_same(
                first, batches_of(task, split, seed + 1, 2),
                f"batches({split!r}, ...) depends on seed or epoch, which only 'train' may",
            )  # fmt: skip
        hashes[split] = batches_digest(first)
    subject.learned["batches"] = hashes
    order = batches_digest(batches_of(task, "train", seed, 2)) != hashes["train"]
    return Held(
        f"those of {', '.join(task.splits)} are the same in each call; training batches "
        + ("differ between epochs" if order else "are the same in each epoch")
    )


def batches_digest(batches: Batches) -> str:
    """A hash of all batches."""
    return hashlib.sha256(repr(batches).encode()).hexdigest()


def _check_same(one: Batches, other: Batches, said: str) -> None:
    remedy = "draw from growsearch.generator(seed, epoch, 'what for')"
    if len(one) != len(other):
        raise Fault(f"{said}: {len(one)} and {len(other)} batches; {remedy}", "batches")
    for i, (batch, again) in enumerate(zip(one, other, strict=True)):
        for name in {**batch, **again}:
            if batch.get(name) != again.get(name):
                raise Fault(f"{said}: batch {i} in {name}; {remedy}", "batches")


def check_values(subject: Subject) -> Held:
    """Tensors of a batch have as many rows, and no NaN; labels are classes of the logits."""
    task = subject.task
    model = built(task, subject.seed, seed=0).to(task.device).eval()
    examples = 0
    with Labels() as labels, torch.no_grad(), seeded(0):
        for split in task.splits:
            for i, batch in enumerate(task.batches(split, subject.config.seed, 1)):
                labels.place = f"batch {i} of {split!r}"
                examples += _check_tensors(batch, labels.place)
                try:
                    task.score(model, moved(batch, task.device))
                except Fault:
                    raise
                except Exception:  # the checks of loss and evaluation say it
                    continue
    ranges = f", labels from {labels.least} to {labels.most}" if labels.seen else ""
    return Held(f"{examples:,} examples, all finite{ranges}")


def _check_tensors(batch: Any, place: str) -> int:
    tensors = dict(named_tensors(batch))
    if not tensors:
        raise Fault(f"{place} has no tensors; yield tensors, or tuples or dicts of them", "batches")
    rows = {name: len(t) if t.dim() else 0 for name, t in tensors.items()}
    if len(set(rows.values())) > 1 or 0 in rows.values():
        shapes = ", ".join(f"{name} {list(t.shape)}" for name, t in tensors.items())
        raise Fault(
            f"{place} has tensors with other first dimensions ({shapes}); the first counts "
            "examples",
            "batches",
        )
    for name, tensor in tensors.items():
        bad = ~tensor.isfinite().reshape(len(tensor), -1).all(dim=1)
        if bool(bad.any()):
            kind = "NaN" if bool(tensor.isnan().any()) else "infinite values"
            raise Fault(
                f"{place} has {kind} in {name}, first in row {int(bad.nonzero()[0])}; mend the "
                "data",
                "batches",
            )
    return next(iter(rows.values()))


class Labels(TorchFunctionMode):
    """Within it, cross-entropies whose targets are no classes raise a Fault."""

    def __init__(self) -> None:
        super().__init__()
        self.place, self.seen = "", False
        self.least, self.most = 0, 0

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if function in (F.cross_entropy, F.nll_loss):
            self._check(*args, **kwargs)
        return function(*args, **kwargs)

    def _check(
        self, input: Tensor, target: Tensor, weight: Any = None, *rest: Any,
        ignore_index: int = -100, **others: Any,
    ) -> None:  # fmt: skip
        if target.is_floating_point() or not target.numel():
            return
        classes = input.shape[1] if input.dim() > 1 else input.shape[0]
        labels = target[target != ignore_index]
        if not labels.numel():
            return
        least, most = int(labels.min()), int(labels.max())
        if least < 0 or most >= classes:
            raise Fault(
                f"{self.place} has labels from {least} to {most}, but the logits have {classes} "
                f"classes, 0 to {classes - 1}; correct the labels, or the model's last layer",
                "batches",
            )
        self.least = min(least, self.least) if self.seen else least
        self.most, self.seen = max(most, self.most), True


def check_steps(subject: Subject) -> Held:
    """Each epoch has as many training batches, as many as the task's `steps` says."""
    task, seed = unlimited(subject.task), subject.config.seed
    counts = [_counted(task, seed, epoch) for epoch in (1, 2, 3)]
    known = [n for n in counts if n is not None]
    if len(known) < 2:
        raise Inapplicable(f"an epoch takes longer than {COUNTED_SECONDS:g} s to read")
    if len(set(known)) > 1:
        raise Fault(
            f"epochs 1, 2, 3 have {', '.join(map(str, counts))} training batches; yield as many in "
            "each epoch",
            "batches",
        )
    said = task.steps()
    if said is not None and said != known[0]:
        raise Fault(
            f"steps() is {said}, but an epoch has {known[0]} training batches; return their number",
            "steps",
        )
    return Held(f"{known[0]:,} training batches in each epoch")


def _counted(task: Task, seed: int, epoch: int) -> int | None:
    """How many training batches the epoch has; None if that takes too long to find out."""
    until, n = time.perf_counter() + COUNTED_SECONDS, 0
    with seeded(0):
        for _ in task.batches("train", seed, epoch):
            n += 1
            if time.perf_counter() > until:
                return None
    return n
