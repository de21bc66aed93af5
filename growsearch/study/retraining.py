"""The command that trains a recorded trial again."""

import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from growsearch.trial.components import KINDS
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.options import Value
from growsearch.trial.trial_options import every_option


def given_options(config: TrialConfig) -> dict[str, Value]:
    """The fewest options that make `config`: the others have these values by default."""
    given = dict(config.given)
    # what a component's options default to may depend on the component, so kinds are tried last
    for name in sorted(given, key=lambda name: name in KINDS):
        fewer = {n: v for n, v in given.items() if n != name}
        try:
            same = TrialConfig(given=fewer) == config
        except InputError:  # another option needs this one
            same = False
        if same:
            given = fewer
    return given


def recorded_options(row: Mapping[Any, Any]) -> dict[str, Value]:
    """All options of a trial as a row of results has them, without making its configuration.

    So it needs no plugin. Values of several epochs are text, as in the table.
    """
    rules = every_option()
    found: dict[str, Value] = {}
    for column, value in row.items():
        name = str(column).removeprefix("config/")
        if name == column:
            continue
        value = value.item() if hasattr(value, "item") else value
        # pandas makes NaN of None, and floats of whole numbers
        if value is None or value != value:
            continue
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        many = rules[name].many if name in rules else _are_numbers(value)
        found[name] = tuple(str(value).split()) if many else value
    return found


def _are_numbers(value: object) -> bool:
    """Whether text is numbers, as several values of a plugin's option are written."""
    parts = value.split() if isinstance(value, str) else []
    return len(parts) > 1 and all(re.fullmatch(r"[-+.\deE]+", part) for part in parts)


def arithmetic(row: Mapping[Any, Any]) -> dict[str, Value]:
    """What "auto" stood for in the precision and the compiler of a row of results."""
    changes: dict[str, Value] = {}
    if row["config/precision"] == "auto":
        precision = row["precision"]
        known = precision is not None and precision == precision
        changes["precision"] = str(precision) if known else "float32"  # older ones had no other
    if row["config/compile"] == "auto":
        changes["compile"] = "on" if row["compiled"] is True or row["compiled"] == 1 else "off"
    return changes


def train_command(given: Mapping[str, Value], plugins: Iterable[str] = ()) -> str:
    """`growsearch train` with the options `given`, for a shell.

    `plugins` are the files that it loads.
    """
    words = ["growsearch", "train"]
    for plugin in plugins:
        words += ["--plugin", plugin]
    for name, value in given.items():
        values = value if isinstance(value, tuple) else (value,)
        words += [f"--{name.replace('_', '-')}", *map(str, values)]
    return shlex.join(words)
