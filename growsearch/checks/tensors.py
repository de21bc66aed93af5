"""Tensors by name: whether two sets are equal, and what else modules hold."""

import hashlib
from collections.abc import Mapping

from torch import Tensor, nn

from growsearch.machine.batches import add_tensor, equal

Named = Mapping[str, Tensor]


def copied(tensors: Named) -> dict[str, Tensor]:
    """Copies, which do not change with what they are copied from."""
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def first_difference(one: Named, other: Named) -> str | None:
    """The name of the first tensor that differs or that only one has; None if all are equal."""
    for name in [*one, *(name for name in other if name not in one)]:
        if name not in one or name not in other or not equal(one[name], other[name]):
            return name
    return None


def parameters_and_buffers(model: nn.Module) -> dict[str, Tensor]:
    """All of them by name, also buffers that are not in the state dict."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def unsaved(model: nn.Module) -> dict[str, Tensor]:
    """Buffers and attributes of modules that the state dict does not hold, by name."""
    saved = {id(tensor) for tensor in model.state_dict(keep_vars=True).values()}
    found = dict(model.named_buffers())
    for name, module in model.named_modules():
        for attribute, value in vars(module).items():
            if isinstance(value, Tensor):
                found[f"{name}.{attribute}" if name else attribute] = value
    return {name: tensor for name, tensor in found.items() if id(tensor) not in saved}


def digest(tensors: Named) -> str:
    """A hash of names, types, shapes and bits."""
    made = hashlib.sha256()
    for name, tensor in tensors.items():
        add_tensor(made, name, tensor)
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
