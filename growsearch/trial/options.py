"""One option of a trial: what is known of it, and its rule."""

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, SupportsFloat

from growsearch.trial.errors import InputError


def option(default: Any, kind: type, help: str, /, **rule: Any) -> Any:
    """A dataclass field for a `kind` of value (str, int or float), with `help` and its rule.

    Rules: `choices`; `least`, `above` and `most` for numbers; `parse`, a function that raises
    InputError for text it does not take; `many` values in a row. `default` says in words what a
    default of None stands for.
    """
    return field(default=default, metadata={"kind": kind, "help": help, **rule})


def suggestion(value: object, known: Sequence[str]) -> str:
    """A clause like "; did you mean 'rtol'?", or one that lists what is known."""
    close = difflib.get_close_matches(str(value), known, n=1, cutoff=0.7)
    return f"; did you mean {close[0]!r}?" if close else f"; choose from {', '.join(known)}"


def check_option(name: str, value: Any, rule: Mapping[str, Any]) -> Any:
    """`value` in its one spelling (2.0 epochs are 2, "60 110" two of them); InputError if it
    breaks the rule.
    """
    if rule.get("many"):
        return tuple(_check_value(name, item, rule) for item in _items(name, value, rule["kind"]))
    return _check_value(name, value, rule)


def _items(name: str, value: Any, kind: type) -> list[Any]:
    if not isinstance(value, str):
        return list(value) if hasattr(value, "__iter__") else [value]
    parts = value.split()
    if kind is str:
        return parts
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"{name} {value!r} is not epochs separated by spaces, like '60 110'")
    return [int(part) for part in parts]


def _parsed(name: str, value: Any, parse: Callable[[Any], Any]) -> Any:
    try:
        return parse(value)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def _check_value(name: str, value: Any, rule: Mapping[str, Any]) -> Any:
    kind = rule["kind"]
    if kind is str:
        if "choices" in rule and value not in rule["choices"]:
            known = list(rule["choices"])
            raise InputError(f"unknown {name} {str(value)!r}{suggestion(value, known)}")
        if value is None:
            raise InputError(f"{name} must be given, but got None")
        return str(_parsed(name, value, rule["parse"]) if "parse" in rule else value)
    if isinstance(value, bool) or not isinstance(value, SupportsFloat):
        raise InputError(f"{name} must be a number, but got {value!r}")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise InputError(f"{name} must be less than 2**63, but has {len(str(value))} digits")
    try:
        value = value if isinstance(value, int) else float(value)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{name} must be a finite number, but got {value!r}")
    if kind is int and value != int(value):
        raise InputError(f"{name} must be a whole number, but got {value!r}")
    if "least" in rule and value < rule["least"]:
        raise InputError(f"{name} must be at least {rule['least']}, but got {value!r}")
    if "above" in rule and value <= rule["above"]:
        raise InputError(f"{name} must be greater than {rule['above']}, but got {value!r}")
    if "most" in rule and value > rule["most"]:
        raise InputError(f"{name} must be at most {rule['most']}, but got {value!r}")
    return kind(value)
