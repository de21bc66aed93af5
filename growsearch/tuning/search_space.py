"""Search-space files: plain Python with a Tune `param_space` of TrialConfig fields, or several."""

import runpy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ray.tune.search.sample import Categorical, Domain, Float, Integer
from ray.tune.search.variant_generator import generate_variants

from growsearch.search.spaces import find_space
from growsearch.trial.config import TrialConfig, check_field, check_name
from growsearch.trial.errors import InputError, one_line

Space = dict[str, Any]


def load_spaces(path: str | Path, overrides: Mapping[str, Any] | None = None) -> list[Space]:
    """The `param_space` of a file, or a built-in space, with the fields in `overrides` fixed.

    It is one space or a list of them, all of which are searched. Raises InputError, naming file and
    field, for a file that does not run, a name that is no field of TrialConfig, or a value that the
    field does not take, wherever in the space it is.
    """
    path = find_space(path)
    try:
        found = runpy.run_path(str(path)).get("param_space")
    except (Exception, SystemExit) as error:  # the file is the user's program: it may do anything
        raise InputError(
            f"search space {str(path)!r} does not run{_line_of(error, path)}: "
            f"{type(error).__name__}: {one_line(error)}"
        ) from error
    spaces: list[Any] = found if isinstance(found, list) else [found]
    if not spaces or not all(isinstance(space, dict) for space in spaces):
        raise InputError(
            f"search space {str(path)!r} defines no param_space; write param_space = {{...}}, a "
            "dict of trial fields, or a list of such"
        )
    try:
        for name, values in (item for space in spaces for item in space.items()):
            check_name(name)
            for value in _stated_values(name, values):
                check_field(name, value)
    except InputError as error:
        raise InputError(f"search space {str(path)!r}: {error}") from error
    return [{**space, **(overrides or {})} for space in spaces]


def searched_fields(spaces: list[Space]) -> list[str]:
    """The fields that differ between trials."""
    names = dict.fromkeys(name for space in spaces for name in space)
    return [name for name in names if _is_searched([space.get(name) for space in spaces])]


def _is_searched(values: list[Any]) -> bool:
    varies = any(isinstance(value, Domain) or _grid(value) for value in values)
    return varies or any(value != values[0] for value in values)


def draw_trials(spaces: list[Space], trials: int | None, seed: int) -> list[TrialConfig]:
    """The trials that a search of `spaces` runs, drawn as Tune draws them.

    `trials` counts all of them, grid points included; by default each grid point of each space runs
    once. Raises InputError if a drawn configuration breaks a rule between fields, or if `trials` is
    no multiple of the grids.
    """
    grids = [int(np.prod([len(_grid(v)) or 1 for v in space.values()])) for space in spaces]
    grid = sum(grids)
    if trials is None:
        if any(n == 1 and searched_fields([s]) for n, s in zip(grids, spaces, strict=True)):
            raise InputError("how many trials? the space draws at random; give --trials")
        trials = grid
    if trials < 1 or trials % grid:
        raise InputError(
            f"trials={trials} is not a multiple of the {grid} points of the grid; "
            f"try {max(grid * (trials // grid), grid)}"
        )
    if seed < 0:
        raise InputError(f"search_seed must be at least 0, but got {seed}")
    rng = np.random.default_rng(seed)
    try:
        variants = [
            variant["config"]
            for _ in range(trials // grid)
            for space in spaces
            for _, variant in generate_variants({"config": space}, random_state=rng)
        ]
    except Exception as error:  # a tune.sample_from is the user's program: it may raise anything
        raise InputError(
            f"the search space cannot be drawn: {one_line(error)}; mend its sample_from"
        ) from error
    return [TrialConfig.from_flat(variant) for variant in variants]


def _grid(values: Any) -> list[Any]:
    """The points of a tune.grid_search, or nothing."""
    is_grid = isinstance(values, dict) and set(values) == {"grid_search"}
    return list(values["grid_search"]) if is_grid else []


def _stated_values(name: str, values: Any) -> Iterator[Any]:
    """The values that can be checked before any is drawn: choices, grid points, ends of ranges."""
    if isinstance(values, Categorical):
        if not values.categories:
            raise InputError(f"{name} has an empty tune.choice; give it values")
        yield from values.categories
    elif isinstance(values, Integer | Float) and not values.lower < values.upper:
        raise InputError(
            f"{name} is drawn from {values.lower} to {values.upper}, where nothing is; the lower "
            "end comes first"
        )
    elif isinstance(values, Integer):
        yield from (values.lower, values.upper - 1)
    elif isinstance(values, Float):
        yield from (end for end in (values.lower, values.upper) if np.isfinite(end))
    elif not isinstance(values, Domain):
        yield from _grid(values) or [values]


def _line_of(error: BaseException, path: Path) -> str:
    """ " in line 7", if the error came from a line of the file."""
    line, trace = getattr(error, "lineno", None), error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" in line {line}" if line else ""
