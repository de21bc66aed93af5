"""Running the trials of a search on Ray Tune."""

import logging
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from growsearch.epochs.store import in_bytes
from growsearch.machine.ending import interrupts_kept
from growsearch.searches.ledger import Ledger
from growsearch.searches.messages import ActorOptions, StoreAccess
from growsearch.searches.settings import SearchSettings
from growsearch.searches.trust import SPACE_FILE
from growsearch.stopping.budget import parse_budget
from growsearch.stopping.cost import search_metric
from growsearch.study.folder import (
    NETWORKS_FOLDER,
    STORE_FOLDER,
    STUDY_ID,
    TO_DRAW,
    TUNE_FOLDER,
    UNDRAWN,
    read_info,
    study_id,
)
from growsearch.study.gathering import gather_ended
from growsearch.trial.plugins import Plugin
from growsearch.trial.status import Status
from growsearch.tuning.cluster import alive, at_once, start_ray
from growsearch.tuning.drawing import sampler_of
from growsearch.tuning.search_space import load_spaces
from growsearch.tuning.shared_data import shared_datasets

_LOG = logging.getLogger("growsearch")


@dataclass(frozen=True)
class SearchEnd:
    """How a search ended: a line for each trial that failed, or waits for a reason, and how many
    never came to an end.
    """

    failures: list[str]
    unfinished: int


def show_end(folder: Path, end: SearchEnd) -> None:
    """Log what did not come to its end."""
    for failure in end.failures:
        _LOG.warning("%s", failure)
    if end.unfinished:
        _LOG.warning(
            "interrupted: %d trials did not end; go on with Study(%r).resume()",
            end.unfinished, str(folder),
        )  # fmt: skip


def run_trials(
    ledger: Ledger, options: SearchSettings, resources: dict[str, float],
    plugins: Sequence[Plugin],
) -> SearchEnd:  # fmt: skip
    """Run the ledger's trials; a sampler draws more until the search has as many as it is to."""
    from growsearch.tuning.budget import Budget
    from growsearch.tuning.own_node import OwnNode
    from growsearch.tuning.progress import SearchProgress
    from growsearch.tuning.trainable import AssignedTrial
    from growsearch.tuning.trial_log import TrialLog
    from growsearch.tuning.trial_queue import TrialQueue

    ray, tune = start_ray()
    info = read_info(ledger.folder)
    given = options.budget
    budget = Budget(ledger, None if given is None else parse_budget(given))
    expected = [trial.config for trial in ledger.trials.values()]
    metric = search_metric(options.metric, expected, info.get("own_metrics"))
    chosen = options.scheduler
    judge = chosen.judge(options.costs, metric, info["search_seed"])
    concurrent: float = options.max_concurrent or at_once(alive(ray), resources)
    if chosen.tune_starts:
        concurrent = math.inf
    sampler, trials = None, 0
    if options.sampler is not None:
        spaces = load_spaces(ledger.folder / SPACE_FILE, info["overrides"])
        sampler = sampler_of(spaces, options, info["search_seed"], ledger.folder)
        expected += sampler.examples
        trials = info.get(TO_DRAW, info["trials"])
    queue = TrialQueue(
        ledger,
        max_concurrent=concurrent,
        from_scratch=options.from_scratch,
        max_failures=options.max_failures,
        options=_actor_options(ledger, options, plugins),
        sampler=sampler,
        trials=trials,
        undrawn=info.get(UNDRAWN, 0),
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
                OwnNode(ledger.folder),
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
        unfinished=sum(not trial.status.ended and budget.admits(trial) for trial in every),
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
        study=study_id(ledger.folder).get(STUDY_ID),
    )
