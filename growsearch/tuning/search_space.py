"""Search-space files: Python files with a Tune `param_space` of TrialConfig fields."""

import math
import os
import runpy
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from numbers import Real
from pathlib import Path
from typing import Any, NoReturn, cast

import numpy as np

from growsearch.searches.spaces import find_space
from growsearch.tasks.task import Task
from growsearch.trial.components import (
    EVERY_KIND,
    KINDS,
    SEARCH_KINDS,
    component,
    components,
    registering,
)
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError, one_line
from growsearch.trial.plugins import Plugin
from growsearch.trial.trial_options import check_field, check_name
from growsearch.tuning.ranges import Range, range_of
from growsearch.tuning.ray_private import Categorical, Domain, generate_variants

MOST_TRIALS = 100_000
"""A search has no more: they are drawn before the first one starts."""

Space = dict[str, Any]


def load_spaces(path: str | Path, overrides: Mapping[str, Any] | None = None) -> list[Space]:
    """The spaces of a file, or a built-in space; `overrides` fixes fields in every space.

    The file's `param_space` is one space or a list of spaces, which are all searched. Raises
    InputError, with file and field, for a file that does not run, a name that is no field of
    TrialConfig, or a choice, grid point or end of a range that the field does not accept.
    """
    path = find_space(path)
    try:
        with registering(_plugin_of(path).digest), _exits_raised():
            found = runpy.run_path(str(path)).get("param_space")
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the user's file may raise anything
        raise InputError(
            f"search space {str(path)!r} does not run{_line_of(error, path)}: "
            f"{type(error).__name__}: {one_line(error)}"
        ) from error
    spaces: list[Any] = found if isinstance(found, list) else [found]
    if not spaces or not all(isinstance(space, dict) for space in spaces):
        raise InputError(
            f"search space {str(path)!r} defines no param_space; write param_space = {{...}}, a "
            "dict of trial fields, or a list of such dicts"
        )
    try:
        _check_number(sum(map(_points, spaces)))
        for name, values in (item for space in spaces for item in space.items()):
            check_name(name)
            for value in _stated_values(name, values):
                check_field(name, value)
    except InputError as error:
        raise InputError(f"search space {str(path)!r}: {error}") from error
    merged = [{**space, **(overrides or {})} for space in spaces]
    if not all(merged):
        raise InputError(
            f"search space {str(path)!r} has a param_space without a field; write at least one, "
            "like {'lr': 0.1}"
        )
    return merged


@contextmanager
def _exits_raised() -> Iterator[None]:
    """os._exit raises SystemExit within the block, but in processes that the block starts.

    A space's code would end the search with it, without a word and with any exit code.
    """
    leave, mine = os._exit, os.getpid()

    def leave_or_raise(status: int) -> NoReturn:
        if os.getpid() != mine:
            leave(status)
        raise SystemExit(f"os._exit({status})")

    os._exit = leave_or_raise
    try:
        yield
    finally:
        os._exit = leave


def _plugin_of(path: Path) -> Plugin:
    return Plugin(str(path), path.read_text(encoding="utf-8"))


def space_plugins(path: str | Path) -> list[Plugin]:
    """The search-space file itself, if it has registered components."""
    plugin = _plugin_of(find_space(path))
    kinds = (components(kind).values() for kind in EVERY_KIND)
    registered = {component.plugin for known in kinds for component in known}
    return [plugin] if plugin.digest in registered else []


def searched_fields(spaces: list[Space]) -> list[str]:
    """The fields that the spaces vary: drawn, on a grid, or different from space to space."""
    names = dict.fromkeys(name for space in spaces for name in space)
    return [name for name in names if _is_searched([space.get(name) for space in spaces])]


def _is_searched(values: list[Any]) -> bool:
    varies = any(isinstance(value, Domain) or _grid(value) for value in values)
    return varies or any(value != values[0] for value in values)


def usual_front(spaces: list[Space]) -> dict[str, Any]:
    """The settings `costs` and `metric` of a search that was given none: those of its tasks.

    Where tasks differ, the cost is PPE, and the metric is the accuracy if all have one, else the
    loss.
    """
    names = (_stated_values("task", space.get("task", KINDS["task"].default)) for space in spaces)
    tasks = [cast(Task, component("task", name)()) for name in chain.from_iterable(names)]
    cost = _agreed(task.usual_cost for task in tasks) or SEARCH_KINDS["cost"].default
    has_accuracy = all(task.has_accuracy for task in tasks)
    metric = _agreed(task.usual_metric for task in tasks)
    return {"costs": (cost,), "metric": metric or ("val_accuracy" if has_accuracy else "val_loss")}


def _agreed(names: Iterable[str | None]) -> str | None:
    found = set(names)
    return found.pop() if len(found) == 1 else None


def is_random(spaces: list[Space]) -> bool:
    """Whether the spaces draw a field at random, besides grids."""
    return any(isinstance(value, Domain) for space in spaces for value in space.values())


def draw_trials(spaces: list[Space], trials: int | None, seed: int) -> list[TrialConfig]:
    """The trials that a search of `spaces` runs, drawn by Tune's generator from `seed`.

    `trials` is the total number, grid points included. By default each grid point of each space
    runs once. Raises InputError if a drawn configuration breaks a rule between fields, `trials` is
    not a multiple of the number of grid points, `trials` is missing although a space without a grid
    draws at random, or `seed` is negative.
    """
    grids = [_points(space) for space in spaces]
    grid = sum(grids)
    _check_number(max(grid, trials or 0))
    if trials is None:
        if any(n == 1 and searched_fields([s]) for n, s in zip(grids, spaces, strict=True)):
            raise InputError(
                "the space draws at random, so the number of trials must be given; set --trials"
            )
        trials = grid
    if trials < 1 or trials % grid:
        raise InputError(
            f"trials={trials} is not a positive multiple of the {grid} points of the grid; "
            f"try {max(grid * (trials // grid), grid)}"
        )
    if seed < 0:
        raise InputError(f"search_seed must be at least 0, but got {seed}")
    rng = np.random.default_rng(seed)
    try:
        with _exits_raised():
            variants = [
                variant["config"]
                for _ in range(trials // grid)
                for space in spaces
                for _, variant in generate_variants({"config": space}, random_state=rng)
            ]
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the user's tune.sample_from may raise anything
        raise InputError(
            f"the search space cannot be drawn: {type(error).__name__}: {one_line(error)}; correct "
            "its tune.sample_from"
        ) from error
    if len(variants) != trials:
        raise InputError(
            f"the search space gave {len(variants)} trials in place of {trials}: a "
            "tune.sample_from returned a tune.grid_search; return a value, or tune.choice"
        )
    return [TrialConfig.from_flat(variant) for variant in variants]


def _check_number(trials: int) -> None:
    if trials > MOST_TRIALS:
        raise InputError(
            f"the search would have {trials:,} trials, and a search has at most {MOST_TRIALS:,}; "
            "give smaller grids, or draw with tune.choice and --trials"
        )


def _points(space: Space) -> int:
    """How many points the grids of the space have together."""
    return math.prod(len(_grid(values)) or 1 for values in space.values())


def _grid(values: Any) -> list[Any]:
    """The points of a tune.grid_search; an empty list for other values.

    Raises InputError for a grid without points.
    """
    if not (isinstance(values, dict) and set(values) == {"grid_search"}):
        return []
    points = values["grid_search"]
    if isinstance(points, str | bytes) or not isinstance(points, Collection) or not len(points):
        raise InputError(
            f"a field has a tune.grid_search of {str(points)[:100]!r}; give a list of values"
        )
    return list(points)


def _stated_values(name: str, values: Any) -> Iterator[Any]:
    """The values that the space states: constants, choices, grid points and ends of ranges."""
    if isinstance(values, Categorical):
        if not values.categories:
            raise InputError(f"{name} has an empty tune.choice; give it values")
        yield from values.categories
    elif (drawn := range_of(values)) is not None:
        yield from _ends(name, drawn)
    elif not isinstance(values, Domain):
        yield from _grid(values) or [values]


def _ends(name: str, drawn: Range) -> Iterator[Any]:
    """The finite ends of a range; InputError if it has no values."""
    lower, upper, step = drawn.lower, drawn.upper, drawn.step
    if not _are_numbers(lower, upper):
        raise InputError(
            f"{name} is drawn from {str(lower)[:100]!r} to {str(upper)[:100]!r}; give two numbers"
        )
    if not lower < upper:
        raise InputError(
            f"{name} is drawn from {lower} to {upper}, an empty range; give the lower end first"
        )
    if step is not None and not (_are_numbers(step) and step > 0):
        raise InputError(f"{name} is drawn in steps of {step!r:.100}; give a number above 0")
    low, high = drawn.ends
    if low > high:
        raise InputError(
            f"{name} is drawn from {lower} to {upper}, a range without a multiple of {step}; widen "
            "it"
        )
    yield from (end for end in (low, high) if np.isfinite(end))


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(value, Real) and not isinstance(value, bool) for value in values)


def _line_of(error: BaseException, path: Path) -> str:
    """ " in line 7" for an error in line 7 of the file; "" if no line of the file is known."""
    line, trace = getattr(error, "lineno", None), error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" in line {line}" if line else ""
