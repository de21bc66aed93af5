"""Ends a search whose own machine has left Ray's cluster, as it can start no trial any more."""

import time
from pathlib import Path
from typing import Any

import ray
from ray import tune

from growsearch.trial.errors import InputError

_BETWEEN = 5.0
"""Seconds between two looks."""


class OwnNode(tune.Callback):
    """Asks Ray whether the node of this process is alive, where Tune itself waits for ever."""

    def __init__(self, study: Path) -> None:
        self.study = study
        self._next = 0.0

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Raises InputError, which ends the search, if Ray's node on this machine has ended."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _BETWEEN
        own = ray.get_runtime_context().get_node_id()
        if not any(node["NodeID"] == own and node["Alive"] for node in ray.nodes()):
            raise InputError(
                "Ray's node on this machine has ended, so no trial can start, and all epochs are "
                f"kept; go on with growsearch resume {self.study}"
            )
