"""The command that trains a recorded trial again."""

import shlex
from collections.abc import Iterable

from growsearch.trial.components import KINDS
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.options import Value


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


def train_command(config: TrialConfig, plugins: Iterable[str] = ()) -> str:
    """`growsearch train` with the options of `config` that are not defaults, for a shell.

    `plugins` are the files that it loads.
    """
    words = ["growsearch", "train"]
    for plugin in plugins:
        words += ["--plugin", plugin]
    for name, value in given_options(config).items():
        values = value if isinstance(value, tuple) else (value,)
        words += [f"--{name.replace('_', '-')}", *map(str, values)]
    return shlex.join(words)
