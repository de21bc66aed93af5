"""A search from Python: the command line's, for a script or a notebook."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

from growsearch.machine.ending import ended_by_signals
from growsearch.searches.settings import SearchSettings, search_options
from growsearch.study.folder import TRIALS_FOLDER
from growsearch.trial.components import Component, is_loading, name_of
from growsearch.trial.errors import InputError
from growsearch.trial.options import suggestion
from growsearch.trial.plugins import session_plugins
from growsearch.trial.trial_options import every_option, is_option
from growsearch.tuning.by_value import pickled
from growsearch.tuning.running import show_end
from growsearch.tuning.space_text import space_text
from growsearch.tuning.study import Study
from growsearch.tuning.tuner import run_search


def search(
    space: Mapping[str, Any] | Sequence[Mapping[str, Any]] | str | Path,
    *,
    trials: int | None = None,
    out: str | Path | None = None,
    search_seed: int = 0,
    plugins: Sequence[str] = (),
    **options: Any,
) -> Study:
    """Run a search, show it as it goes, and return its study.

    >>> space = {"rtol": tune.uniform(1.0, 1.5), "epochs": 30}
    >>> study = growsearch.search(space, trials=12, dataset="digits", scheduler="pareto")

    `space` is a Tune `param_space` of trial options, a list of them, the path of a search-space
    file, or the name of a built-in one. `trials` counts all trials, grid points included;
    `search_seed` draws them. `out` is a new folder; by default one in runs/. `plugins` are files or
    modules with components; those that the calling script or notebook has registered are known.

    Other `options` are those of the command line with underscores: settings of the search
    (`scheduler="pareto"`, `sampler="tpe"`, `cost="flops"`, `store=...`: `growsearch search --help`
    lists them), and trial options that hold whatever the space says (`task="my-task"`,
    `dataset="digits"`, `epochs=30`). A component may be given by its name, its class or itself. The
    environment variable RAY_ADDRESS names a cluster; without it Ray starts on this machine.

    In a script, call it under `if __name__ == "__main__":`, because the processes of trials run the
    script's file to find its components. `Study(out).resume()` continues an interrupted search.
    Raises InputError before the first trial starts if anything in it cannot work.
    """
    if is_loading():
        raise InputError(
            "growsearch.search was called while the processes of trials load this file; put the "
            'call under if __name__ == "__main__":'
        )
    settings = {f.name for f in fields(SearchSettings)} | set(search_options())
    named: dict[str, Any] = {}
    if "cost" in options and "costs" in options:
        raise InputError("cost and costs are both given, and are the same option; leave one out")
    for name, value in options.items():
        if name in ("cost", "costs"):  # the command line has the one, a study the other
            several = [value] if isinstance(value, str | Component | type) else list(value)
            named["costs"] = _named("cost", several)["cost"]
            continue
        if name not in settings and not is_option(name):
            known = ("trials", "out", "search_seed", "plugins", *settings, *every_option())
            raise InputError(f"growsearch.search has no option {name!r}{suggestion(name, known)}")
        named |= _named(name, value)
    with tempfile.TemporaryDirectory() as folder:
        file: str | Path = Path(folder, "space.py")
        if isinstance(space, str | Path):
            file = space
        else:
            Path(file).write_text(space_text(space))
        place = Path(out or f"runs/search-{datetime.now():%Y%m%d-%H%M%S}")
        own = [plugin for plugin, _ in session_plugins()]
        try:
            with ended_by_signals() as ending:
                end = run_search(
                    file,
                    place,
                    overrides={n: value for n, value in named.items() if n not in settings},
                    trials=trials,
                    search_seed=search_seed,
                    plugins=[*plugins, *pickled(own)],
                    **{name: value for name, value in named.items() if name in settings},
                )
        except InputError as error:
            if file is space or (written := f"search space {str(file)!r}") not in str(error):
                raise
            # its own file says nothing to who gave a dict
            raise InputError(str(error).replace(written, "the search space")) from None
    ending.pass_on()
    if end.failures and not any((place / TRIALS_FOLDER).glob("*.parquet")):
        raise InputError(f"no trial has begun: {end.failures[0]}")
    show_end(place, end)
    return Study(place)


def _named(name: str, value: Any) -> dict[str, Any]:
    """An option by names and plain values: a component becomes its name and its options."""
    if isinstance(value, type) and issubclass(value, Component):
        return {name: name_of(name, value)}
    if isinstance(value, Component):
        return {**_named(name, type(value)), **value.stated()}
    if isinstance(value, tuple | list) and any(isinstance(v, Component | type) for v in value):
        parts = [_named(name, item) for item in value]
        return {k: v for part in parts for k, v in part.items()} | {
            name: [part[name] for part in parts]
        }
    return {name: value}
