"""Ray: started quietly, on the cluster or here, and what a trial reserves of it."""

import logging
import os
import socket
from typing import Any

from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError

_RAY_SETTINGS = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative data folders hold in trials too
    "RAY_AIR_NEW_OUTPUT": "0",  # its banner comes whatever the verbosity
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # results are written by the ledger
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # a search goes on from its ledger, not from Tune's state
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # silences a warning; trials without GPU use none
}


def start_ray() -> tuple[Any, Any]:
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


def reserve(
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


def check_unchanged(before: dict[str, float], now: dict[str, float]) -> None:
    """InputError if a trial that has begun with the one would not go on to the same bits."""
    if before["gpu"] and now["gpu"]:
        return
    (one, other) = (
        f"gpus_per_trial={made['gpu']:g}" if made["gpu"] else f"cpus_per_trial={made['cpu']:g}"
        for made in (before, now)
    )
    if one != other:
        raise InputError(
            f"trials have begun with {one}, and with {other} they would not go on to the same "
            f"bits; set {one} again, or start a new search"
        )


def at_once(cluster: dict[str, float], resources: dict[str, float]) -> int:
    """How many trials the cluster holds now."""
    fits = [
        int(cluster.get(kind.upper(), 0) / wanted) for kind, wanted in resources.items() if wanted
    ]
    return max(min(fits, default=1), 1)
