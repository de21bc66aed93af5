"""A search: check it, run its trials on Ray Tune, leave a study."""

import logging
import math
import os
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from growsearch.choices import DATA
from growsearch.config import TrialConfig
from growsearch.data import load_trial_dataset
from growsearch.epoch_store import EpochStore, in_bytes
from growsearch.errors import InputError
from growsearch.results import create_study
from growsearch.tuning.search_space import draw_trials, load_spaces, searched_fields
from growsearch.tuning.sharing import growth_order

if TYPE_CHECKING:
    from ray.tune import Result
    from ray.tune.experiment import Trial

_RAY_SETTINGS = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative data folders hold in trials too
    "RAY_AIR_NEW_OUTPUT": "0",  # its banner comes whatever the verbosity
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # results are written by StudyWriter
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # silences a warning; trials without GPU use none
}


@dataclass(frozen=True)
class SearchEnd:
    """How a search ended: a line for each trial that failed, and how many never came to an end."""

    failures: list[str]
    unfinished: int


def run_search(
    space_file: str | Path,
    out: str | Path,
    *,
    overrides: dict[str, Any] | None = None,
    trials: int | None = None,
    search_seed: int = 0,
    cpus_per_trial: int = 1,
    gpus_per_trial: float | None = None,
    max_concurrent: int | None = None,
    from_scratch: bool = False,
    store: str | None = None,
    keep_states: str = "forks",
    state_megabytes: float | None = None,
) -> SearchEnd:
    """Run the trials of a search-space file and write each epoch to the study `out`.

    `overrides` fixes fields whatever the file says. `trials` counts all trials, grid points
    included, and `search_seed` draws them. A trial gets `cpus_per_trial` cores, which are its
    threads, and by default one GPU where the cluster has any. `from_scratch` adds a trial for each
    network that a trial has grown to. With a `store` each distinct epoch is trained once;
    `keep_states` (see Branch) and `state_megabytes` say which states stay there. An interrupt
    (Ctrl-C) ends the search with what it has.

    Raises InputError before the first trial starts if anything in it cannot work.
    """
    _check_shares(cpus_per_trial, gpus_per_trial, max_concurrent)
    spaces = load_spaces(space_file, overrides)
    drawn = draw_trials(spaces, trials, search_seed)
    sharing: dict[str, Any] = {}
    if store is not None:
        sharing = {
            "store": EpochStore(store).place,
            "keep_states": keep_states,
            "state_bytes": in_bytes(state_megabytes),
            "owner": uuid.uuid4().hex,
        }
        drawn.sort(key=growth_order)
    _check_data(drawn)
    ray, tune = _start_ray()
    resources = _resources(ray.cluster_resources(), drawn, cpus_per_trial, gpus_per_trial)
    searched = searched_fields(spaces)
    if from_scratch and "policy" not in searched:
        searched.insert(0, "policy")
    folder = create_study(
        out,
        command="search",
        space=Path(space_file).read_text(),
        overrides=overrides or {},
        searched=searched,
        trials=len(drawn),
        search_seed=search_seed,
        resources_per_trial=resources,
        from_scratch=from_scratch,
        **sharing,
    )

    from growsearch.tuning.callbacks import StudyWriter
    from growsearch.tuning.progress import SearchProgress
    from growsearch.tuning.trainable import GrowingTrial
    from growsearch.tuning.trial_queue import TrialQueue

    notes = list(dict.fromkeys(note for config in drawn for note in config.notes))
    queue = TrialQueue(drawn, max_concurrent, from_scratch, sharing)
    writer = StudyWriter(folder.resolve())
    tuner = tune.Tuner(
        tune.with_resources(GrowingTrial, resources),
        param_space={"trial": {}},  # the queue has the trials
        tune_config=tune.TuneConfig(
            search_alg=queue,
            reuse_actors=True,
            trial_dirname_creator=_folder_name,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(folder.resolve()),
            callbacks=[writer, SearchProgress(len(drawn), searched, notes)],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=True),
            verbose=0,
        ),
    )
    results = tuner.fit()
    return SearchEnd(
        failures=[_failure(result) for result in results if result.error],
        unfinished=queue.total_samples - results.num_errors - len(writer.completed),
    )


def _failure(result: "Result") -> str:
    """The error's last line; Tune keeps the rest of it in the trial's folder."""
    reason = str(result.error).strip().splitlines()[-1]
    return f"trial {Path(result.path).name} failed: {reason} (see {result.path}/error.txt)"


def _folder_name(trial: "Trial") -> str:
    return str(trial.trial_id)


def _check_shares(cpus: int, gpus: float | None, max_concurrent: int | None) -> None:
    if max_concurrent is not None and max_concurrent < 1:
        raise InputError(f"max_concurrent={max_concurrent} is no number of trials; give 1 or more")
    if cpus < 1:
        raise InputError(f"cpus_per_trial={cpus} is no number of cores; give 1 or more")
    if gpus is not None and not 0 <= gpus < math.inf:
        raise InputError(f"gpus_per_trial={gpus} is no share of GPUs; give 0 or more")


def _check_data(drawn: list[TrialConfig]) -> None:
    """Load each data set once, so that missing files are known before a trial starts."""
    # the batch size decides whether a last batch is too small
    options = (*DATA, "batch_size")
    different = {tuple(getattr(config, name) for name in options): config for config in drawn}
    for config in different.values():
        load_trial_dataset(config)


def _start_ray() -> tuple[Any, Any]:
    """Ray, on the cluster that RAY_ADDRESS names or else on this machine, and Tune; both quiet."""
    for variable, value in _RAY_SETTINGS.items():
        os.environ.setdefault(variable, value)
    import ray
    from ray import tune

    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # failures are told at the end
    _check_cluster(os.environ.get("RAY_ADDRESS", ""))
    if not ray.is_initialized():
        ray.init(
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    return ray, tune


def _check_cluster(address: str) -> None:
    """InputError if nothing answers at host:port; Ray itself would go on trying for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except OSError as error:
            raise InputError(
                f"RAY_ADDRESS={address!r} does not answer ({error}); start the cluster, or unset "
                "it to search on this machine"
            ) from error


def _resources(
    cluster: dict[str, float], drawn: list[TrialConfig], cpus: int, gpus: float | None
) -> dict[str, float]:
    """What each trial reserves; InputError if the cluster never has it."""
    wants_gpu = any(config.device != "cpu" for config in drawn)
    if gpus is None:
        gpus = 1 if wants_gpu and cluster.get("GPU", 0) else 0
    if gpus == 0 and any(config.device == "cuda" for config in drawn):
        remedy = "set --gpus-per-trial above 0" if cluster.get("GPU") else "use auto or cpu"
        raise InputError(f"device 'cuda' needs a GPU for each trial; {remedy}")
    for option, wanted, kind in (("cpus", cpus, "CPU"), ("gpus", gpus, "GPU")):
        available = cluster.get(kind, 0)
        if wanted > available:
            raise InputError(
                f"{option}_per_trial={wanted:g} is more than the {available:g} {kind}s that Ray "
                f"has; lower --{option}-per-trial"
            )
    return {"cpu": cpus, "gpu": gpus}
