"""Batches as nested tuples, lists and dicts of tensors, each tensor with one row an example."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from growsearch.trial.errors import InputError

Share = tuple[int, int]
"""(i, n): every n-th example of a batch, from the i-th; for a trial on n processes."""
ALL: Share = (0, 1)


def named_parts(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """What nested dicts, lists, tuples and dataclasses hold, and what code calls it."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from named_parts(part, f"{name}[{key!r}]")
    elif isinstance(value, tuple | list):
        for i, part in enumerate(value):
            yield from named_parts(part, f"{name}[{i}]")
    elif is_dataclass(value):
        for field in fields(value):
            yield from named_parts(getattr(value, field.name), f"{name}.{field.name}")
    else:
        yield name, value


def named_tensors(batch: Any, name: str = "batch") -> Iterator[tuple[str, Tensor]]:
    """The tensors of a batch and what code calls them: batch[0], batch['labels'], batch.images."""
    return ((part, value) for part, value in named_parts(batch, name) if isinstance(value, Tensor))


def tensors(batch: Any) -> Iterator[Tensor]:
    """The tensors of a batch, in order."""
    return (tensor for _, tensor in named_tensors(batch))


def equal(one: Tensor, other: Tensor) -> bool:
    """Whether both have the same type, shape and bits; NaN equals NaN."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if torch.equal(one, other):
        return True
    return one.is_floating_point() and torch.equal(one.isnan(), other.isnan()) and torch.equal(
        one.nan_to_num(), other.nan_to_num()
    )  # fmt: skip


def add_tensor(digest: Any, name: str, tensor: Tensor) -> None:
    """Adds name, type, shape and bits of the tensor to a hash."""
    digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
    plain = tensor.detach().cpu().contiguous().reshape(-1)
    digest.update(plain.view(torch.uint8).numpy().data)


def mapped(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The batch with each tensor changed; what is no tensor stays as it is."""
    if isinstance(batch, Tensor):
        return change(batch)
    if isinstance(batch, Mapping):
        return {name: mapped(value, change) for name, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(mapped(value, change) for value in batch))
    if isinstance(batch, tuple | list):
        return type(batch)(mapped(value, change) for value in batch)
    if is_dataclass(batch) and not isinstance(batch, type):
        values = {f.name: mapped(getattr(batch, f.name), change) for f in fields(batch)}
        return type(batch)(**values)
    return batch


def in_sum(loss: Tensor, examples: int) -> Tensor:
    """The mean loss times the number of examples, in float32 at least.

    Where autocast leaves a loss in bfloat16, the product would have 8 bits.
    """
    return loss.to(torch.promote_types(loss.dtype, torch.float32)) * examples


def form(batch: Any) -> Hashable:
    """A key that is equal for batches that differ only in the values of tensors."""
    if isinstance(batch, Tensor):
        return batch.shape, batch.dtype
    if isinstance(batch, Mapping):
        return type(batch), tuple((name, form(value)) for name, value in batch.items())
    if isinstance(batch, tuple | list):
        return type(batch), tuple(map(form, batch))
    if is_dataclass(batch):
        return type(batch), tuple(form(getattr(batch, f.name)) for f in fields(batch))
    return batch if batch.__hash__ else repr(batch)


def size(batch: Any) -> int:
    """How many examples a batch has: the rows of its first tensor, or 1 if it has no rows."""
    first = next(tensors(batch), None)
    return len(first) if first is not None and first.dim() else 1


def moved(batch: Any, device: torch.device) -> Any:
    """The batch on `device`."""
    return mapped(batch, lambda tensor: tensor.to(device, non_blocking=True))


def shared(batch: Any, share: Share) -> Any:
    """The examples of the batch that belong to `share`; InputError if a share would be empty."""
    if share == ALL:
        return batch
    rows = min((len(tensor) for tensor in tensors(batch) if tensor.dim()), default=None)
    if rows is not None and rows < share[1]:
        raise InputError(
            f"a batch of {rows} examples cannot be divided among {share[1]} processes; yield "
            "larger batches, or train in fewer processes"
        )
    return mapped(batch, lambda tensor: tensor[share[0] :: share[1]] if tensor.dim() else tensor)
