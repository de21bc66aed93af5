"""The trials of a search that are known before it runs, and the sampler that draws others."""

from pathlib import Path
from typing import TYPE_CHECKING

from growsearch.searches.settings import SearchSettings
from growsearch.stopping.cost import cost_of
from growsearch.study.folder import SAMPLER_FILE
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.tuning.search_space import Space, draw_trials, is_random

if TYPE_CHECKING:
    from growsearch.tuning.optuna_search import ParetoOptunaSearch

_DRAWS, _APART = 50, 1_000_000
"""How often a search is extended by another draw, and how far apart their seeds are."""


def drawn_trials(
    spaces: list[Space], trials: int | None, seed: int, options: SearchSettings
) -> list[TrialConfig]:
    """The trials that are known before any runs."""
    if options.sampler is None:
        return draw_trials(spaces, trials, seed)
    if trials is None or trials < 1:
        raise InputError(
            f"how many trials? sampler {options.sampler.name!r} draws any; give --trials"
        )
    return []


def new_trials(
    spaces: list[Space], extend: int, seed: int, options: SearchSettings, known: set[TrialConfig]
) -> list[TrialConfig]:
    """`extend` trials that are not `known`; fewer if a number of draws finds no more.

    Raises InputError if none is found.
    """
    if options.sampler is not None:
        return drawn_trials(spaces, extend, seed, options)
    new: dict[TrialConfig, None] = {}
    for k in range(_DRAWS if is_random(spaces) else 1):
        for config in drawn_trials(spaces, extend, seed + k * _APART, options):
            if config not in known and len(new) < extend:
                new.setdefault(config)
        if len(new) == extend:
            break
    if not new:
        raise InputError(
            f"extend={extend} adds no trial: all configurations that the space has, or that "
            f"{_DRAWS} draws of it found, are in this search; start another one over a larger or "
            "finer space, with --store to share epochs"
        )
    return list(new)


def sampler_of(
    spaces: list[Space], options: SearchSettings, seed: int, folder: Path | None = None
) -> "ParetoOptunaSearch":
    from growsearch.tuning.optuna_search import ParetoOptunaSearch

    assert options.sampler
    return ParetoOptunaSearch(
        spaces,
        options.sampler,
        costs=[cost_of(cost).result() for cost in options.costs],
        accuracy=options.metric,
        seed=seed,
        storage=folder and folder / SAMPLER_FILE,
    )
