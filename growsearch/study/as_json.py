"""What is printed as JSON: one document, of JSON's types alone."""

import json
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any, TextIO

_OUT: ContextVar[TextIO | None] = ContextVar("_OUT", default=None)


_PLAIN = frozenset({type(None), str, int, bool})


def plain(value: Any, digits: int | None = None) -> Any:
    """`value` in JSON's types.

    A dataclass is an object of its fields, a table of pandas a list of its rows, a path or an enum
    its text. A number that is not finite, and what pandas takes for missing, is null. Floats have
    `digits` significant digits, by default all.
    """
    if type(value) in _PLAIN:  # first: of large studies most values are
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return float(value if digits is None else f"{value:.{digits}g}")
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name), digits) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item, digits) for key, item in value.items()}
    if isinstance(value, Enum):
        return plain(value.value, digits)
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, digits) for item in value]
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "to_dict"):  # a table of pandas
        return plain(value.to_dict("records"), digits)
    if hasattr(value, "tolist"):  # of numpy: an array, or a number
        return plain(value.tolist(), digits)
    return value if value is None or isinstance(value, str | int) else _rest(value)


def _rest(value: Any) -> str | None:
    """pandas' NA equals nothing, itself neither."""
    return None if type(value).__name__ in ("NAType", "NaTType") else str(value)


def print_json(value: Any) -> None:
    """Prints `value` as one JSON document, indented by two."""
    print(json.dumps(plain(value), indent=2, allow_nan=False), file=_OUT.get() or sys.stdout)


@contextmanager
def json_alone(wanted: bool) -> Iterator[None]:
    """Within the block, with `wanted`, all but what `print_json` prints goes to stderr."""
    if not wanted:
        yield
        return
    token = _OUT.set(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _OUT.reset(token)
