"""Tensors by name: those of a batch, and whether two sets are equal."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

Named = Mapping[str, Tensor]


def named_tensors(batch: Any, name: str = "batch") -> Iterator[tuple[str, Tensor]]:
    """The tensors of a batch and what code calls them: batch[0], batch['labels'], batch.images."""
    if isinstance(batch, Tensor):
        yield name, batch
    elif isinstance(batch, Mapping):
        for key, value in batch.items():
            yield from named_tensors(value, f"{name}[{key!r}]")
    elif isinstance(batch, tuple | list):
        for i, value in enumerate(batch):
            yield from named_tensors(value, f"{name}[{i}]")
    elif is_dataclass(batch):
        for field in fields(batch):
            yield from named_tensors(getattr(batch, field.name), f"{name}.{field.name}")


def copied(tensors: Named) -> dict[str, Tensor]:
    """Copies, which do not change with what they are copied from."""
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def equal(one: Tensor, other: Tensor) -> bool:
    """Whether both have the same type, shape and bits; NaN equals NaN."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if torch.equal(one, other):
        return True
    return one.is_floating_point() and torch.equal(one.isnan(), other.isnan()) and torch.equal(
        one.nan_to_num(), other.nan_to_num()
    )  # fmt: skip


def first_difference(one: Named, other: Named) -> str | None:
    """The name of the first tensor that differs or that only one has; None if all are equal."""
    for name in [*one, *(name for name in other if name not in one)]:
        if name not in one or name not in other or not equal(one[name], other[name]):
            return name
    return None


def parameters_and_buffers(model: nn.Module) -> dict[str, Tensor]:
    """All of them by name, also buffers that are not in the state dict."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def digest(tensors: Named) -> str:
    """A hash of names, types, shapes and bits."""
    made = hashlib.sha256()
    for name, tensor in tensors.items():
        made.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        made.update(plain.view(torch.uint8).numpy().data)
    return made.hexdigest()


def simple_attributes(model: nn.Module) -> dict[str, str]:
    """The numbers, strings, None and tuples of them that modules hold, as Python writes them.

    Names are like "blocks.2.index". Without `training`, which the trainer sets.
    """
    found = {}
    for name, module in model.named_modules():
        for attribute, value in vars(module).items():
            if attribute != "training" and _is_simple(value):
                found[f"{name}.{attribute}" if name else attribute] = repr(value)
    return found


def _is_simple(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_simple, value))
    return value is None or isinstance(value, int | float | str)
