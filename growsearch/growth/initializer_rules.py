"""What an initializer must not do, because trials that share epochs or resume would not know."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from numbers import Integral
from typing import Any

from torch import nn

from growsearch.trial.errors import InputError
from growsearch.trial.kinds import Initializer

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def check_places(
    method: str, found: object, blocks: int, grown_blocks: int, initializer: Initializer
) -> None:
    """InputError unless what `method` returned names blocks by place, and sources every old one."""
    call = f"{method}({blocks}, {grown_blocks}) of initializer {initializer.name!r}"
    if not isinstance(found, Mapping):
        raise InputError(
            f"{call} is a {type(found).__name__}; return a dict from places of the grown "
            "sub-network to those of old blocks"
        )
    for place, source in found.items():
        if not (_is_place(place, grown_blocks) and _is_place(source, blocks)):
            raise InputError(
                f"{call} has {place!r}: {source!r}; places are integers from 0 to "
                f"{grown_blocks - 1}, and old blocks from 0 to {blocks - 1}"
            )
    lost = sorted(set(range(blocks)) - set(found.values()))
    if lost and method == "sources":
        raise InputError(
            f"{call} is {dict(found)!r:.100}, without the old block {lost[0]}; give every old "
            "block a place"
        )


def _is_place(value: object, count: int) -> bool:
    return isinstance(value, Integral) and 0 <= int(value) < count


@contextmanager
def unchanged_but_for_numbers(block: nn.Module, initializer: Initializer) -> Iterator[None]:
    """InputError if its body changes more of the block than the numbers in its tensors.

    A resumed trial builds the block anew and loads these numbers alone.
    """
    before = _form(block)
    yield
    after = _form(block)
    for name in {**before, **after}:
        one, other = before.get(name, "missing"), after.get(name, "missing")
        if one != other:
            raise InputError(
                f"initialize of initializer {initializer.name!r} changes {name!r} of a block from "
                f"{one} to {other}, which a resumed trial would not know; change only the numbers "
                "in its tensors"
            )


def _form(block: nn.Module) -> dict[str, str]:
    """All of the block but the numbers in its tensors, as far as it is plain, by name."""
    found = {}
    for name, tensor in chain(block.named_parameters(), block.named_buffers()):
        learns = "trained" if tensor.requires_grad else "not trained"
        found[name] = f"{tensor.dtype} {list(tensor.shape)} {learns}"
    for prefix, module in block.named_modules(prefix="block"):
        found[prefix] = type(module).__name__
        for name, value in vars(module).items():
            if name in _HOOKS:
                found[f"{prefix}.{name}"] = f"{len(value)} hooks"
            elif name != "training" and (_is_simple(value) or not name.startswith("_")):
                found[f"{prefix}.{name}"] = f"{value!r:.60}" if _is_simple(value) else _kind(value)
    return found


def _is_simple(value: Any) -> bool:
    return value is None or isinstance(value, int | float | str)


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"
