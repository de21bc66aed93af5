"""A search space in Python, written as the file that `growsearch search` would take."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from growsearch.trial.errors import InputError
from growsearch.tuning.ranges import Range, range_of
from growsearch.tuning.ray_private import Categorical


def space_text(space: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> str:
    """The text of a search-space file whose `param_space` is `space`: one space, or several.

    Raises InputError for a value that has no such text, like tune.sample_from.
    """
    spaces = [space] if isinstance(space, Mapping) else list(space)
    written = ",\n".join(_space(one) for one in spaces)
    if not isinstance(space, Mapping):
        written = f"[\n{written},\n]"
    return f"from ray import tune\n\nparam_space = {written}\n"


def _space(space: Mapping[str, Any]) -> str:
    rows = "".join(f"    {name!r}: {_value(name, value)},\n" for name, value in space.items())
    return f"{{\n{rows}}}"


def _value(name: str, value: Any) -> str:
    if isinstance(value, dict) and set(value) == {"grid_search"}:
        return f"tune.grid_search({_value(name, list(value['grid_search']))})"
    if isinstance(value, list | tuple):
        items = ", ".join(_value(name, item) for item in value)
        return f"[{items}]" if isinstance(value, list) else f"({items},)"
    if isinstance(value, Categorical):
        return f"tune.choice({_value(name, list(value.categories))})"
    if (drawn := range_of(value)) is not None:
        return _range(drawn)
    if (plain := _plain(value)) is not None:
        return plain
    raise InputError(
        f"{name}={value!r} cannot be written down, so the search could not be resumed; use "
        "numbers, text, tune.choice, grid_search, uniform, loguniform, randint or their quantized "
        "forms, or give a search-space file"
    )


def _plain(value: Any) -> str | None:
    """None, a text or a number, also numpy's, as Python writes it; None for anything else."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    return repr(value) if value is None or isinstance(value, str | int | float) else None


def _range(drawn: Range) -> str:
    """Tune's function that makes the range."""
    stated = [drawn.lower, drawn.upper, *([] if drawn.step is None else [drawn.step])]
    kind = ("q" if drawn.step is not None else "") + ("log" if drawn.log else "")
    values = ", ".join(f"{_plain(number)}" for number in stated)
    return f"tune.{kind}{'randint' if drawn.whole else 'uniform'}({values})"
