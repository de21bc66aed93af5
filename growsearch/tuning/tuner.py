"""A search: check it, run its trials on Ray Tune, leave a study."""

import logging
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from growsearch.epochs.store import EpochStore, in_bytes
from growsearch.machine.compiling import check_compiler
from growsearch.machine.ending import interrupts_kept
from growsearch.machine.files import check_links, write_whole
from growsearch.searches.horizons import longer, own_rates
from growsearch.searches.ledger import Ledger, only_writer, written
from growsearch.searches.messages import ActorOptions, StoreAccess
from growsearch.searches.settings import SearchSettings
from growsearch.searches.spaces import find_space
from growsearch.searches.trust import DECIDED, SPACE_FILE, Trust, acts_of, check_trust, remember
from growsearch.stopping.budget import parse_budget
from growsearch.stopping.cost import Metric, cost_of, own_numbers, search_metric
from growsearch.study.copying import check_new_copy, copied, copy_place
from growsearch.study.folder import (
    LOG_FILE,
    NETWORKS_FOLDER,
    SAMPLER_FILE,
    STORE_FOLDER,
    TUNE_FOLDER,
    add_searched,
    check_folder,
    make_folder,
    read_info,
    write_info,
)
from growsearch.study.gathering import gather_ended
from growsearch.study.plugins import describe, keep_plugins, load_kept
from growsearch.training.auto_precision import auto_precision
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.plugins import Plugin, load_plugins
from growsearch.trial.status import Status
from growsearch.tuning.by_value import pickled
from growsearch.tuning.cluster import at_once, check_unchanged, reserve, start_ray
from growsearch.tuning.search_space import (
    Space,
    draw_trials,
    is_random,
    load_spaces,
    searched_fields,
    space_plugins,
    usual_front,
)
from growsearch.tuning.shared_data import check_own_data, own_data, shared_datasets

if TYPE_CHECKING:
    from growsearch.tuning.optuna_search import ParetoOptunaSearch

_LOG = logging.getLogger("growsearch")
_DRAWS, _APART = 50, 1_000_000
"""How often a search is extended by another draw, and how far apart their seeds are."""


@dataclass(frozen=True)
class SearchEnd:
    """How a search ended: a line for each trial that failed, or waits for a reason, and how many
    never came to an end.
    """

    failures: list[str]
    unfinished: int


def run_search(
    space_file: str | Path,
    out: str | Path,
    *,
    overrides: dict[str, Any] | None = None,
    trials: int | None = None,
    search_seed: int = 0,
    plugins: Sequence[str | Plugin] = (),
    **settings: Any,
) -> SearchEnd:
    """Run the trials of a search-space file and write each epoch to the study `out`.

    `overrides` fixes fields whatever the file says. `trials` counts all trials, grid points
    included, and `search_seed` draws them. `plugins` are files or modules with components; the
    search-space file may register some as well. `settings` are those of SearchSettings. Ctrl-C
    ends the search with what it has; `resume_search` continues from there.

    Raises InputError before the first trial starts if anything in it cannot work.
    """
    check_folder(out)
    loaded = load_plugins(plugin for plugin in plugins if isinstance(plugin, str))
    loaded += (plugin for plugin in plugins if isinstance(plugin, Plugin))
    spaces = load_spaces(space_file, overrides)
    loaded += space_plugins(space_file)
    options = SearchSettings.from_flat({**usual_front(spaces), **settings})
    drawn = checked = _drawn(spaces, trials, search_seed, options)
    if options.sampler is not None:
        checked = _sampler(spaces, options, search_seed).examples
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
    info = {
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
    folder = make_folder(out).resolve()
    keep_plugins(folder, loaded)
    write_whole(folder / SPACE_FILE, text)
    remember(acts_of(folder, info, draws=True))
    with only_writer(folder), written(folder):
        ledger = Ledger(folder)
        ledger.add_all(drawn)
        write_info(folder, info)  # last: it makes the folder a study
        with copied(folder, options.copy_to):
            return _run(ledger, options, resources, loaded)


def resume_search(
    folder: str | Path, extend: int | None = None,
    extend_horizon: int | Sequence[int] | None = None, trust: Trust = False, **changes: Any,
) -> SearchEnd:  # fmt: skip
    """Go on with the search whose study is in `folder`, wherever it was interrupted.

    Trials that have ended are not run again; the others go on from their newest epoch. `extend`
    adds so many trials, drawn from the same space. `extend_horizon` adds trials with so many
    epochs; see horizons.longer. `changes` are settings that are new. `trust` allows what
    check_trust asks for. Raises InputError if there is no such search, or what it needs is gone.
    """
    info = read_info(folder)
    if "settings" not in info:
        raise InputError(f"{str(folder)!r} is not a search that can go on; give its --out folder")
    folder = Path(folder).resolve()
    check_links(folder, but=(STORE_FOLDER,))
    draws = extend is not None or {**info["settings"], **changes}.get("sampler") is not None
    asked = {name: None for name in DECIDED if name in changes}
    acts = acts_of(folder, {**info, "settings": {**info["settings"], **asked}}, draws)
    check_trust(folder, acts, trust)
    plugins = pickled(load_kept(folder, info))
    options = SearchSettings.from_flat(changes, info["settings"])
    options = replace(options, copy_to=copy_place(options.copy_to))
    with only_writer(folder), written(folder):
        ledger, new = Ledger.read(folder), []
        if options.sampler is None and extend is None:
            _check_number(ledger, info["trials"])
        if extend is not None:
            spaces = load_spaces(folder / SPACE_FILE, info["overrides"])
            seed = info["search_seed"] + len(ledger.trials)
            known = {trial.config for trial in ledger.trials.values()}
            new = _new(spaces, extend, seed, options, known)
        further: list[TrialConfig] = []
        if extend_horizon is not None:
            further = _further(ledger, extend_horizon, options)
            new = list(dict.fromkeys([*new, *further]))
        every = [*(trial.config for trial in ledger.trials.values()), *new]
        resources = _check(every, options, info)
        check_own_data(info.get("data", []), every)
        if any(trial.history for trial in ledger.trials.values()):
            check_unchanged(info["resources_per_trial"], resources)
        drawn = info["trials"] if extend is None else len(ledger.trials) + extend
        if further:
            add_searched(folder, "epochs")
        ledger.add_all(new)
        with copied(folder, options.copy_to):
            return _run(ledger, options, resources, plugins, drawn + len(further))


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


def show_end(folder: Path, end: SearchEnd) -> None:
    """Log what did not come to its end."""
    for failure in end.failures:
        _LOG.warning("%s", failure)
    if end.unfinished:
        _LOG.warning(
            "interrupted: %d trials did not end; go on with Study(%r).resume()",
            end.unfinished, str(folder),
        )  # fmt: skip


def _drawn(
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


def _new(
    spaces: list[Space], extend: int, seed: int, options: SearchSettings, known: set[TrialConfig]
) -> list[TrialConfig]:
    """So many trials that are not `known`; fewer if a number of draws finds no more.

    Raises InputError if none is found.
    """
    if options.sampler is not None:
        return _drawn(spaces, extend, seed, options)
    new: dict[TrialConfig, None] = {}
    for k in range(_DRAWS if is_random(spaces) else 1):
        for config in _drawn(spaces, extend, seed + k * _APART, options):
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


def _sampler(
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


def _metric(options: SearchSettings, trials: list[TrialConfig], info: dict[str, Any]) -> Metric:
    """The search's metric; InputError if there is none, or if a trial's task does not have it."""
    return search_metric(options.metric, trials, info.get("own_metrics"))


def _check(
    drawn: list[TrialConfig], options: SearchSettings, info: dict[str, Any] | None = None
) -> dict[str, float]:
    """What each trial reserves, if there are data and resources for all and all settings can be."""
    if options.budget is not None:
        parse_budget(options.budget)
    options.scheduler.judge(options.costs, _metric(options, drawn, info or {}), seed=0)
    for log in options.log:
        log.check()
    if any(config.compile == "on" for config in drawn):
        check_compiler()
    _check_data(drawn)
    ray, _ = start_ray()
    return reserve(ray.cluster_resources(), drawn, options.cpus_per_trial, options.gpus_per_trial)


def _check_data(drawn: list[TrialConfig]) -> None:
    """Load each data set once, so that missing files are known before a trial starts."""
    different = {config.task.check_key(): config.task for config in drawn}
    for task in different.values():
        task.check()


def _run(
    ledger: Ledger, options: SearchSettings, resources: dict[str, float],
    plugins: Sequence[Plugin], drawn: int | None = None,
) -> SearchEnd:  # fmt: skip
    """Run the ledger's trials; a sampler draws more until there are `drawn`, or as many as the
    search was to have.
    """
    from growsearch.tuning.budget import Budget
    from growsearch.tuning.progress import SearchProgress
    from growsearch.tuning.trainable import AssignedTrial
    from growsearch.tuning.trial_log import TrialLog
    from growsearch.tuning.trial_queue import TrialQueue

    ray, tune = start_ray()
    info = read_info(ledger.folder)
    given = options.budget
    budget = Budget(ledger, None if given is None else parse_budget(given))
    metric = _metric(options, [trial.config for trial in ledger.trials.values()], info)
    chosen = options.scheduler
    judge = chosen.judge(options.costs, metric, info["search_seed"])
    concurrent: float = options.max_concurrent or at_once(ray.cluster_resources(), resources)
    if chosen.tune_starts:
        concurrent = math.inf
    sampler, trials = None, 0
    expected = [trial.config for trial in ledger.trials.values()]
    if options.sampler is not None:
        spaces = load_spaces(ledger.folder / SPACE_FILE, info["overrides"])
        sampler = _sampler(spaces, options, info["search_seed"], ledger.folder)
        expected += sampler.examples
        trials = info["trials"] if drawn is None else drawn
    queue = TrialQueue(
        ledger,
        max_concurrent=concurrent,
        from_scratch=options.from_scratch,
        max_failures=options.max_failures,
        options=_actor_options(ledger, options, plugins),
        sampler=sampler,
        trials=trials,
        resume=chosen.resume(judge),
        budget=budget,
    )
    scheduler = chosen.tune_scheduler(queue, metric, judge)
    logs = [TrialLog(log, ledger, options.owner) for log in options.log]
    notes = dict.fromkeys(note for t in ledger.trials.values() for note in t.config.notes)
    tuner = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(AssignedTrial, datasets=shared_datasets(expected)), resources
        ),
        tune_config=tune.TuneConfig(search_alg=queue, scheduler=scheduler, reuse_actors=True),
        run_config=tune.RunConfig(
            name=TUNE_FOLDER,
            storage_path=str(ledger.folder),
            stop=budget,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            callbacks=[
                SearchProgress(
                    ledger, info["searched"], judge, [*notes, *chosen.notes(metric)], metric
                ),
                *logs,
            ],
            verbose=0,
        ),
    )
    if not queue.is_finished():
        try:
            with interrupts_kept():
                tuner.fit()
        finally:
            ledger.close()
    else:
        for log in logs:  # one may be new, or have failed before
            log.setup()
            log.on_experiment_end([])
    try:
        gather_ended(ledger.folder)
    except KeyboardInterrupt:
        _LOG.warning("the report is not written; growsearch report %s does it", ledger.folder)
        raise
    every = ledger.trials.values()
    if not any(trial.status is Status.FAILED for trial in every):
        # Tune's state, which nothing reads again; it has the tracebacks of failed trials
        shutil.rmtree(ledger.folder / TUNE_FOLDER, ignore_errors=True)
    failed = [f"trial {t.name} failed: {t.reason}" for t in every if t.status is Status.FAILED]
    waits = [
        f"trial {t.name} waits: {t.reason}"
        for t in every
        if t.status is Status.WAITING and t.reason
    ]
    return SearchEnd(
        failures=failed + waits,
        unfinished=0 if budget.is_spent else sum(not trial.status.ended for trial in every),
    )


def _actor_options(
    ledger: Ledger, options: SearchSettings, plugins: Sequence[Plugin]
) -> ActorOptions:
    store = None
    if options.store != "none":
        store = StoreAccess(
            place=options.store or str(ledger.folder / STORE_FOLDER),
            owner=options.owner,
            keep_states=options.keep_states,
            state_bytes=in_bytes(options.state_megabytes),
        )
    return ActorOptions(
        store=store,
        epoch_timeout=options.epoch_timeout,
        auto_precision=options.auto_precision,
        plugins=tuple(plugins),
        networks=str(ledger.folder / NETWORKS_FOLDER),
        copy=options.copy_to,
    )
