"""The decision of compile "auto": whether compiling saves a trial more time than it takes."""

import logging
import math
from collections.abc import Callable

import torch

from growsearch.machine.arithmetic import arithmetic
from growsearch.machine.compiling import can_compile
from growsearch.machine.devices import Stopwatch
from growsearch.machine.measured import measured_once
from growsearch.machine.processes import ranks
from growsearch.machine.processor import processor
from growsearch.tasks.images.dataset import Dataset
from growsearch.tasks.images.images import Images
from growsearch.training.state import TrainState
from growsearch.trial.config import TrialConfig
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


def auto_compile(config: TrialConfig, dataset: Dataset, device: torch.device) -> str:
    """The value, "on" or "off", of compile "auto" for the trial of `config` on `device`.

    The estimate is for the fewest epochs that the trial can have, at its first depth. The times of
    compiling, and of a step with and without compiled code, are measured once for each machine,
    network, image shape and batch size.
    """
    epochs = config.policy.finetune_epochs or config.epochs
    steps = epochs * math.ceil(len(dataset.train) / config.batch_size)
    if steps < MIN_STEPS or not can_compile():
        return "off"
    kind = str({
        "processor": processor(), **arithmetic(config, device), "network": config.network.name,
        "architecture": config.architecture, "image_shape": dataset.image_shape,
        "batch_size": config.batch_size,
    })  # fmt: skip

    def measure(compile: str) -> tuple[float, float]:
        return step_seconds(config.replaced(compile=compile), dataset, device)

    _, written = measured_once("steps", kind, lambda: measure("off"))
    if steps * written < MIN_SECONDS:
        return "off"
    first, compiled = measured_once("compiled-steps", kind, lambda: _compiled_seconds(measure))
    return "on" if steps * (written - compiled) > PAYBACK * (first - compiled) else "off"


def step_seconds(
    config: TrialConfig, dataset: Dataset, device: torch.device
) -> tuple[float, float]:
    """Seconds for the gradients of a first training step, and of the fastest of five more."""
    state = TrainState.initial(config, dataset, device)
    n = config.batch_size // ranks().count
    shape = (n, *dataset.image_shape)
    images = torch.linspace(-1, 1, math.prod(shape), device=device).reshape(shape)
    batch = Images(images, torch.arange(n, device=device) % dataset.classes)
    watch, took = Stopwatch(device), []
    for _ in range(1 + _REPEATS):
        state.gradients(state.network, batch, config.precision)
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
