"""Starting Ray, on a cluster or on this machine, and the resources that each trial reserves."""

import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from growsearch.machine.ending import own_sigterm_kept
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError, one_line

_RAY_SETTINGS = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative data folders stay valid in trials
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output prints its banner at every verbosity
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the ledger writes the results
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # a search resumes from its ledger, not from Tune's state
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a trial that awaits an epoch reports no metric
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # silences a warning; trials without GPU use none
}
_ANSWER = 10
"""Seconds that a cluster has to answer."""


def start_ray() -> tuple[Any, Any]:
    """Start Ray without output and return the modules ray and ray.tune.

    Ray connects to the cluster in RAY_ADDRESS or else starts on this machine. Raises InputError if
    the cluster does not answer, or Ray cannot start.
    """
    for variable, value in _RAY_SETTINGS.items():
        os.environ.setdefault(variable, value)
    import ray
    from ray import tune

    from growsearch.tuning.ray_private import processes_apart

    # The search itself reports failures, at its end.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    if not ray.is_initialized():
        check_cluster(os.environ.get("RAY_ADDRESS", ""))
        try:
            with own_sigterm_kept(), processes_apart():
                ray.init(
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
        except Exception as error:  # Ray raises many types
            place = os.environ.get("RAY_ADDRESS")
            what = f"connect to RAY_ADDRESS={place!r}" if place else "start on this machine"
            raise InputError(
                f"Ray cannot {what} ({one_line(error)[:500]}); look with `ray status`, or unset it"
            ) from error
    return ray, tune


def nodes() -> list[dict[str, float]]:
    """What each node that is alive has, {"CPU": ..., "GPU": ..., "memory": ... in bytes}.

    Ray is started on this machine, or connected to, and left as it was. Raises InputError as
    `start_ray`, and ImportError without Ray.
    """
    import ray

    if was_there := ray.is_initialized():  # perhaps to another cluster than is asked for
        check_cluster(os.environ.get("RAY_ADDRESS", ""))
    start_ray()
    try:
        return alive(ray)
    finally:
        if not was_there:
            ray.shutdown()


def alive(ray: Any) -> list[dict[str, float]]:
    """What each node that is alive has, as `nodes` gives it."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def check_cluster(address: str) -> None:
    """InputError if there is no cluster of Ray at `address`, or none that lets this user in.

    Takes at most 15 seconds; Ray itself would try for minutes. "" and "local" stand for this
    machine.
    """
    if address in ("", "local"):
        return
    given = f"RAY_ADDRESS={address!r}"
    if address.startswith("ray://"):
        raise InputError(
            f"{given} is of Ray's client, through which no search runs; run the search on a node "
            "of the cluster (ray job submit), or give host:port of its head, port 6379 if it has "
            "no other"
        )
    host, _, port = address.rpartition(":")
    if address != "auto" and not (host and port.isdecimal() and 0 < int(port) < 2**16):
        raise InputError(
            f"{given} is no address; give auto or host:port of the cluster's head, or unset it to "
            "search on this machine"
        )
    remedy = "start the cluster, or unset it to search on this machine"
    if address != "auto":
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except (OSError, UnicodeError) as error:
            raise InputError(f"{given} does not answer ({one_line(error)}); {remedy}") from error
    if (said := _unreachable(address)) is not None:
        if "AuthenticationError" in said:
            said = said.partition(". ")[0]  # Ray's own remedies are long, and lack the mode
            remedy = (
                "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN if the cluster's token is not that in "
                "~/.ray/auth_token"
            )
        raise InputError(f"{given} is no cluster that can be used ({said}); {remedy}")


def _unreachable(address: str) -> str | None:
    """Why there is no cluster at `address`; None if there is one.

    Asked in a process of its own, because Ray's client in C++ can neither be told to wait less nor
    be interrupted.
    """
    from growsearch.tuning.ray_private import ASK_CLUSTER

    asked = subprocess.run(
        [sys.executable, "-c", ASK_CLUSTER, address, str(_ANSWER)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
    )  # fmt: skip
    if asked.returncode == 0:
        return None
    if asked.returncode == -signal.SIGALRM:
        return f"nothing of Ray answers there within {_ANSWER} s"
    lines = [line.strip() for line in asked.stderr.splitlines() if line.strip()]
    return lines[-1][:300] if lines else f"exit code {asked.returncode}"


def reserve(
    nodes: Sequence[Mapping[str, float]], drawn: list[TrialConfig], cpus: int, gpus: float | None
) -> dict[str, float]:
    """The CPUs and GPUs that each trial reserves, {"cpu": ..., "gpu": ...}.

    `gpus` None stands for one GPU if a trial can use it and one of the `nodes` has one, else for
    none. Raises InputError if no node has what one trial reserves, or if a trial on device "cuda"
    gets no GPU.
    """
    most_gpus = max((node.get("GPU", 0) for node in nodes), default=0)
    wants_gpu = any(config.device != "cpu" for config in drawn)
    if gpus is None:
        gpus = 1 if wants_gpu and most_gpus else 0
    if gpus == 0 and any(config.device == "cuda" for config in drawn):
        remedy = "set --gpus-per-trial above 0" if most_gpus else "use auto or cpu"
        raise InputError(f"device 'cuda' needs a GPU for each trial, but gets none; {remedy}")
    for option, wanted, kind in (("cpus", cpus, "CPU"), ("gpus", gpus, "GPU")):
        available = max((node.get(kind, 0) for node in nodes), default=0)
        if wanted > available:
            raise InputError(
                f"{option}_per_trial={wanted:g} exceeds the {available:g} {kind}s that a node of "
                f"the Ray cluster has at most; lower --{option}-per-trial, or start such a node "
                "before the search"
            )
    if not any(_fit(node, {"cpu": cpus, "gpu": gpus}) for node in nodes):
        raise InputError(
            f"no node of the Ray cluster has cpus_per_trial={cpus} and gpus_per_trial={gpus:g} "
            "together; lower --cpus-per-trial, or start such a node before the search"
        )
    return {"cpu": cpus, "gpu": gpus}


def check_unchanged(before: dict[str, float], now: dict[str, float]) -> None:
    """Raises InputError if trials that began with `before` would round differently with `now`.

    Trials that keep a GPU always pass; others must keep the same number of CPUs.
    """
    if any(type(before.get(kind)) not in (int, float) for kind in now):
        raise InputError(
            f"resources_per_trial={str(before)[:100]} in study.json lacks the number of cpu or "
            "gpu; restore study.json from a copy"
        )
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


def at_once(nodes: Sequence[Mapping[str, float]], resources: dict[str, float]) -> int:
    """The number of trials, at least 1, that fit on the nodes at the same time."""
    return max(sum(_fit(node, resources) for node in nodes), 1)


def _fit(node: Mapping[str, float], resources: dict[str, float]) -> int:
    """How many trials fit on the node."""
    return min(
        int(node.get(kind.upper(), 0) / wanted) for kind, wanted in resources.items() if wanted
    )
