"""The decision of compile "auto": whether compiling saves a trial more time than it takes."""

import logging
import math
from collections.abc import Callable
from typing import Any

from growsearch.machine.arithmetic import arithmetic
from growsearch.machine.batches import tensors
from growsearch.machine.compiling import can_compile
from growsearch.machine.devices import Stopwatch
from growsearch.machine.measured import measured_once
from growsearch.machine.processor import processor
from growsearch.tasks.task import Task
from growsearch.training.state import TrainState
from growsearch.trial.errors import one_line

MIN_STEPS = 1000
"""A trial of fewer steps is not compiled, and its steps are not measured."""
MIN_SECONDS = 600.0
"""Seconds that the steps of a trial must take before compiling, which takes at least half a minute,
is tried."""
PAYBACK = 2
"""Compiling must save this many times the time it takes."""
_REPEATS = 5
_LOG = logging.getLogger("growsearch")


def auto_compile(task: Task) -> str:
    """The value, "on" or "off", of compile "auto" for the trial of `task`.

    A task that does not tell its steps is not compiled. The estimate is for the fewest epochs that
    the trial can have, at its first depth. The times of compiling, and of a step with and without
    compiled code, are measured once for each machine, network, batch shape and batch size.
    """
    config = task.trial
    epochs = config.policy.finetune_epochs or config.epochs
    steps = epochs * (task.steps() or 0)
    if steps < MIN_STEPS or not can_compile():
        return "off"
    first_batch = next(iter(task.training_batches(1)))
    kind = str({
        "processor": processor(), **arithmetic(config, task.device), "network": task.label,
        "architecture": config.architecture, "batch": [t.shape for t in tensors(first_batch)],
        "batch_size": config.batch_size,
    })  # fmt: skip

    def measure(compile: str) -> tuple[float, float]:
        tried = config.replaced(compile=compile).task.on(task.device, task.loaded)
        return step_seconds(tried, first_batch)

    _, written = measured_once("steps", kind, lambda: measure("off"))
    if steps * written < MIN_SECONDS:
        return "off"
    first, compiled = measured_once("compiled-steps", kind, lambda: _compiled_seconds(measure))
    return "on" if steps * (written - compiled) > PAYBACK * (first - compiled) else "off"


def step_seconds(task: Task, batch: Any) -> tuple[float, float]:
    """Seconds for the gradients of a first training step on `batch`, and of the fastest of five
    more.
    """
    state = TrainState.initial(task)
    watch, took = Stopwatch(task.device), []
    for _ in range(1 + _REPEATS):
        state.gradients(task, state.network, batch)
        took.append(watch.lap())
    return took[0], min(took[1:])


def _compiled_seconds(measure: Callable[[str], tuple[float, float]]) -> tuple[float, float]:
    """The result of `measure` with compiled code; infinite if steps cannot be compiled."""
    _LOG.warning("measuring whether compiling saves time, once for such trials on this machine")
    try:
        return measure("on")
    except Exception as error:  # compilers raise many types
        _LOG.warning(
            "steps cannot be compiled here (%s); they run uncompiled", one_line(error)[:200]
        )
        return math.inf, math.inf
