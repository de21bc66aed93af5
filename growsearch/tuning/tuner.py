"""A search: check it, make its study, or go on with one, and run its trials."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from growsearch.epochs.store import EpochStore
from growsearch.machine.compiling import check_compiler
from growsearch.machine.files import check_links, write_whole
from growsearch.searches.horizons import longer, own_rates
from growsearch.searches.ledger import Ledger, only_writer, remove_half_made, written
from growsearch.searches.resumed import read_search
from growsearch.searches.settings import SearchSettings
from growsearch.searches.spaces import find_space
from growsearch.searches.trust import SPACE_FILE, Trust, acts_of, check_trust, remember
from growsearch.stopping.budget import parse_budget
from growsearch.stopping.cost import own_numbers, search_metric
from growsearch.study.copying import check_copy, check_new_copy, copied, copy_place
from growsearch.study.folder import (
    LOG_FILE,
    STORE_FOLDER,
    TO_DRAW,
    UNDRAWN,
    add_searched,
    change_info,
    check_folder,
    make_folder,
    write_info,
)
from growsearch.study.plugins import describe, keep_plugins, load_kept
from growsearch.training.auto_precision import auto_precision
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.plugins import Plugin, load_plugins
from growsearch.tuning.by_value import pickled
from growsearch.tuning.cluster import alive, check_unchanged, reserve, start_ray
from growsearch.tuning.drawing import drawn_trials, new_trials, sampler_of
from growsearch.tuning.running import SearchEnd, run_trials
from growsearch.tuning.search_space import (
    load_spaces,
    searched_fields,
    space_plugins,
    usual_front,
)
from growsearch.tuning.shared_data import check_own_data, own_data

_LOG = logging.getLogger("growsearch")


def run_search(
    space_file: str | Path,
    out: str | Path,
    *,
    overrides: dict[str, Any] | None = None,
    trials: int | None = None,
    search_seed: int = 0,
    plugins: Sequence[str | Plugin] = (),
    anew: bool = False,
    **settings: Any,
) -> SearchEnd:
    """Run the trials of a search-space file and write each epoch to the study `out`.

    `overrides` fixes fields whatever the file says. `trials` counts all trials, grid points
    included, and `search_seed` draws them. `plugins` are files or modules with components; the
    search-space file may register some as well. `anew` removes what a kill has left while it made
    the study. `settings` are those of SearchSettings. Ctrl-C ends the search with what it has;
    `resume_search` continues from there.

    Raises InputError before the first trial starts if anything in it cannot work.
    """
    check_folder(out)
    loaded = load_plugins(plugin for plugin in plugins if isinstance(plugin, str))
    loaded += (plugin for plugin in plugins if isinstance(plugin, Plugin))
    spaces = load_spaces(space_file, overrides)
    loaded += space_plugins(space_file)
    options = SearchSettings.from_flat({**usual_front(spaces), **settings})
    drawn = checked = drawn_trials(spaces, trials, search_seed, options)
    if options.sampler is not None:
        checked = sampler_of(spaces, options, search_seed).examples
    if options.store not in (None, "none"):
        options = replace(options, store=EpochStore(options.store).place)
    options = replace(options, copy_to=copy_place(options.copy_to))
    if options.copy_to is not None:
        check_new_copy(options.copy_to, out)
    resources = _check(checked, options)
    if options.auto_precision is None and not resources["gpu"]:
        # decided once: a noisy measurement must not part equal trials on different hosts
        options = replace(options, auto_precision=auto_precision(torch.device("cpu")))
    searched = searched_fields(spaces)
    if options.from_scratch and "policy" not in searched:
        searched.insert(0, "policy")
    searched += (name for name in options.scheduler.varies if name not in searched)
    text = find_space(space_file).read_text()
    info: dict[str, Any] = {
        "command": "search",
        "space": text,
        "overrides": overrides or {},
        "searched": searched,
        "trials": trials or len(drawn),
        "search_seed": search_seed,
        "resources_per_trial": resources,
        "settings": options.to_flat(),
        "plugins": describe(loaded),
        "data": own_data(checked),
        "own_metrics": own_numbers(checked),
    }
    if anew:
        remove_half_made(Path(out))
    folder = make_folder(out).resolve()
    keep_plugins(folder, loaded)
    write_whole(folder / SPACE_FILE, text)
    remember(acts_of(folder, info, info["settings"], draws=True))
    with only_writer(folder), written(folder):
        ledger = Ledger(folder)
        ledger.add_all(drawn)
        write_info(folder, info)  # last: it makes the folder a study
        with copied(folder, options.copy_to):
            return run_trials(ledger, options, resources, loaded)


def resume_search(
    folder: str | Path, extend: int | None = None,
    extend_horizon: int | Sequence[int] | None = None, trust: Trust = False, **changes: Any,
) -> SearchEnd:  # fmt: skip
    """Continue the search whose study is in `folder`, wherever it was interrupted.

    Trials that have ended are not run again; the others continue from their newest epoch.
    `extend` trials are added, drawn from the same space. `extend_horizon` adds trials with these
    numbers of epochs; see horizons.longer. `changes` are settings that are new. `trust` allows what
    check_trust asks for. Raises InputError if there is no such search, or what it needs is gone.
    """
    info = read_search(folder)
    folder = Path(folder).resolve()
    check_links(folder, but=(STORE_FOLDER,))
    draws = extend is not None or {**info["settings"], **changes}.get("sampler") is not None
    check_trust(folder, acts_of(folder, info, info["settings"], draws, changes), trust)
    plugins = pickled(load_kept(folder, info))
    options = SearchSettings.from_flat(changes, info["settings"])
    options = replace(options, copy_to=copy_place(options.copy_to))
    with only_writer(folder), written(folder):
        if options.copy_to is not None:
            check_copy(options.copy_to, folder)
        ledger, new = Ledger.read(folder), []
        if options.sampler is None and extend is None:
            _check_number(ledger, info["trials"])
        spaces = load_spaces(folder / SPACE_FILE, info["overrides"]) if draws else []
        if extend is not None:
            seed = info["search_seed"] + len(ledger.trials)
            known = {trial.config for trial in ledger.trials.values()}
            new = new_trials(spaces, extend, seed, options, known)
        further: list[TrialConfig] = []
        if extend_horizon is not None:
            further = _further(ledger, extend_horizon, options)
            new = list(dict.fromkeys([*new, *further]))
        every = [*(trial.config for trial in ledger.trials.values()), *new]
        if options.sampler is not None:
            every += sampler_of(spaces, options, info["search_seed"], folder).examples
        resources = _check(every, options, info)
        check_own_data(info.get("data", []), every)
        if any(trial.history for trial in ledger.trials.values()):
            check_unchanged(info["resources_per_trial"], resources)
        if options.sampler is not None and (extend is not None or further):
            # so that the rest is drawn after a kill, too
            change_info(folder, **_to_draw(info, len(ledger.trials), extend or 0, len(further)))
        if further:
            add_searched(folder, "epochs")
        ledger.add_all(new)
        with copied(folder, options.copy_to):
            return run_trials(ledger, options, resources, plugins)


def _to_draw(info: dict[str, Any], known: int, extend: int, further: int) -> dict[str, int]:
    """What study.json says of a sampler's trials, once others join a search of `known` trials."""
    had_sampler = TO_DRAW in info or info["settings"].get("sampler") is not None
    to_draw = info.get(TO_DRAW, info["trials"]) if had_sampler else 0
    undrawn = info.get(UNDRAWN, 0) if had_sampler else known
    return {
        "trials": info["trials"] + extend, TO_DRAW: to_draw + extend, UNDRAWN: undrawn + further
    }  # fmt: skip


def _check_number(ledger: Ledger, trials: int) -> None:
    """InputError if the log has fewer trials than were drawn before the search's first epoch."""
    known = len(ledger.trials)
    if known < trials:
        raise InputError(
            f"{str(ledger.folder / LOG_FILE)!r} has {known} of the {trials} trials that the search "
            f"began with; restore it from a copy, or add others by --extend {trials - known}"
        )


def _further(
    ledger: Ledger, horizons: int | Sequence[int], options: SearchSettings
) -> list[TrialConfig]:
    """The trials that `extend_horizon` adds, and a warning if they share little."""
    given = [horizons] if isinstance(horizons, int) else list(horizons)
    new = longer(ledger.trials.values(), given)
    if options.store == "none":
        _LOG.warning("the search has no store: added trials train all of their epochs")
    elif own := own_rates(new, ledger.trials, ledger.read_histories()):
        names = ", ".join(sorted({repr(config.lr_schedule.name) for config in own}))
        _LOG.warning(
            "%d of %d added trials train most of their epochs anew: the rates of lr_schedule %s "
            "depend on the number of epochs; those of 'wsd' and 'constant' do not before the end",
            len(own), len(new), names,
        )  # fmt: skip
    return list(new)


def _check(
    drawn: list[TrialConfig], options: SearchSettings, info: dict[str, Any] | None = None
) -> dict[str, float]:
    """What each trial reserves, if there are data and resources for all and all settings can be."""
    if options.budget is not None:
        parse_budget(options.budget)
    options.scheduler.judge(
        options.costs, search_metric(options.metric, drawn, (info or {}).get("own_metrics")), seed=0
    )
    for log in options.log:
        log.check()
    if any(config.compile == "on" for config in drawn):
        check_compiler()
    _check_data(drawn)
    ray, _ = start_ray()
    return reserve(alive(ray), drawn, options.cpus_per_trial, options.gpus_per_trial)


def _check_data(drawn: list[TrialConfig]) -> None:
    """Load each data set once, so that missing files are known before a trial starts."""
    different = {config.task.check_key(): config.task for config in drawn}
    for task in different.values():
        task.check()
