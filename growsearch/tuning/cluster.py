"""Starting Ray, on a cluster or on this machine, and the resources that each trial reserves."""

import logging
import os
import socket
from typing import Any

from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError

_RAY_SETTINGS = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative data folders stay valid in trials
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output prints its banner at every verbosity
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the ledger writes the results
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # a search resumes from its ledger, not from Tune's state
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # silences a warning; trials without GPU use none
}


def start_ray() -> tuple[Any, Any]:
    """Start Ray without output and return the modules ray and ray.tune.

    Ray connects to the cluster in RAY_ADDRESS or else starts on this machine. Raises InputError if
    the cluster does not answer.
    """
    for variable, value in _RAY_SETTINGS.items():
        os.environ.setdefault(variable, value)
    import ray
    from ray import tune

    # The search itself reports failures, at its end.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    _check_cluster(os.environ.get("RAY_ADDRESS", ""))
    if not ray.is_initialized():
        ray.init(
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    return ray, tune


def _check_cluster(address: str) -> None:
    """Raises InputError if nothing answers at host:port; Ray itself would retry for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except OSError as error:
            raise InputError(
                f"RAY_ADDRESS={address!r} does not answer ({error}); start the cluster, or unset "
                "it to search on this machine"
            ) from error


def reserve(
    cluster: dict[str, float], drawn: list[TrialConfig], cpus: int, gpus: float | None
) -> dict[str, float]:
    """The CPUs and GPUs that each trial reserves, {"cpu": ..., "gpu": ...}.

    `gpus` None stands for one GPU if a trial can use it and `cluster` has one, else for none.
    Raises InputError if the cluster has less than one trial reserves, or if a trial on device
    "cuda" gets no GPU.
    """
    wants_gpu = any(config.device != "cpu" for config in drawn)
    if gpus is None:
        gpus = 1 if wants_gpu and cluster.get("GPU", 0) else 0
    if gpus == 0 and any(config.device == "cuda" for config in drawn):
        remedy = "set --gpus-per-trial above 0" if cluster.get("GPU") else "use auto or cpu"
        raise InputError(f"device 'cuda' needs a GPU for each trial, but gets none; {remedy}")
    for option, wanted, kind in (("cpus", cpus, "CPU"), ("gpus", gpus, "GPU")):
        available = cluster.get(kind, 0)
        if wanted > available:
            raise InputError(
                f"{option}_per_trial={wanted:g} exceeds the {available:g} {kind}s of the Ray "
                f"cluster; lower --{option}-per-trial"
            )
    return {"cpu": cpus, "gpu": gpus}


def check_unchanged(before: dict[str, float], now: dict[str, float]) -> None:
    """Raises InputError if trials that began with `before` would round differently with `now`.

    Trials that keep a GPU always pass; others must keep the same number of CPUs.
    """
    if before["gpu"] and now["gpu"]:
        return
    (one, other) = (
        f"gpus_per_trial={made['gpu']:g}" if made["gpu"] else f"cpus_per_trial={made['cpu']:g}"
        for made in (before, now)
    )
    if one != other:
        raise InputError(
            f"trials began with {one} and would give other bits with {other}; set {one} again, or "
            "start a new search"
        )


def at_once(cluster: dict[str, float], resources: dict[str, float]) -> int:
    """The number of trials, at least 1, that fit on the cluster at the same time."""
    fits = [
        int(cluster.get(kind.upper(), 0) / wanted) for kind, wanted in resources.items() if wanted
    ]
    return max(min(fits, default=1), 1)
