"""The definitions by name: each module of `papers`, found without a list."""

import pkgutil
from importlib import import_module

from growsearch.reproductions import papers
from growsearch.reproductions.definition import Reproduction
from growsearch.trial.errors import InputError
from growsearch.trial.options import suggestion


def names() -> list[str]:
    """The definitions' names, like "lipgrow-table2"; no definition is imported."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(papers.__path__))


def definition(name: str) -> Reproduction:
    """The definition `name`; InputError, with the names and the nearest, if there is none."""
    known = names()
    if name not in known:
        near, every = suggestion(name, known), suggestion("", known)
        there = near if near == every else f"{near} (or {every.removeprefix('; ')})"
        raise InputError(f"no table or figure {name!r} to reproduce{there}")
    module = import_module(f"{papers.__name__}.{name.replace('-', '_')}")
    found: Reproduction = module.DEFINITION
    return found
