"""The command that trains a recorded trial again."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from growsearch.trial.components import KINDS
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.options import Value
from growsearch.trial.trial_options import every_option

OF_TRAIN = frozenset(
    ("help", "plugin", "json", "out", "save_every", "store", "keep_states", "state_megabytes")
)
"""The options of `growsearch train` that are none of a trial."""
_NUMBER = re.compile(r"[-+.\deE]+")


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
    return len(parts) > 1 and all(map(_NUMBER.fullmatch, parts))


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


def train_command(given: Mapping[str, Value], plugins: Sequence[str] = ()) -> str:
    """`growsearch train` with the options `given`, for a shell.

    `plugins` are the files that it loads. Without one, no trial has an option that is not known
    here. Names and values may be a stranger's: none of them becomes another option.
    """
    words, known = ["growsearch", "train"], every_option()
    for plugin in plugins:
        words += _option("plugin", plugin)
    for name, value in given.items():
        may_be = name in known or (plugins and name.isidentifier())
        if may_be and name not in OF_TRAIN:
            words += _option(name, *(value if isinstance(value, tuple) else (value,)))
    return shlex.join(words)


def _option(name: str, *values: object) -> list[str]:
    flag, texts = f"--{name.replace('_', '-')}", list(map(str, values))
    dashed = [text for text in texts if text.startswith("-")]
    if dashed and not (len(texts) > 1 and all(map(_NUMBER.fullmatch, dashed))):
        # in one word it is no option of its own; several texts in one are refused, not obeyed
        return [f"{flag}={' '.join(texts)}"]
    return [flag, *texts]
