"""Whether compiling a trial's steps pays back within the trial, as measured."""

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

STEPS = 1000
"""A trial of fewer is over before compiling pays; not even its steps are measured."""
LONG = 600.0
"""Seconds that all steps of a trial must take, for compiling, which takes half a minute and more,
to be tried."""
TIMES = 2
"""What compiling must save, in what it takes."""
_TRIED = 5
_LOG = logging.getLogger("growsearch")


def auto_compile(config: TrialConfig, dataset: Dataset, device: torch.device) -> str:
    """What compile "auto" comes to, "on" or "off", for the trial of `config` on `device`.

    Its steps are counted at the depth and for the epochs that it has at least. How long a step
    takes, as written and compiled, and how long compiling, is measured once for each machine,
    network, and size of images and batches.
    """
    epochs = config.policy.finetune_epochs or config.epochs
    steps = epochs * math.ceil(len(dataset.train) / config.batch_size)
    if steps < STEPS or not can_compile():
        return "off"
    kind = str({
        "processor": processor(), **arithmetic(config, device), "network": config.network.name,
        "architecture": config.architecture, "image_shape": dataset.image_shape,
        "batch_size": config.batch_size,
    })  # fmt: skip

    def measure(compile: str) -> tuple[float, float]:
        return step_seconds(config.replaced(compile=compile), dataset, device)

    _, written = measured_once("steps", kind, lambda: measure("off"))
    if steps * written < LONG:
        return "off"
    first, compiled = measured_once("compiled-steps", kind, lambda: _tried(measure))
    return "on" if steps * (written - compiled) > TIMES * (first - compiled) else "off"


def step_seconds(
    config: TrialConfig, dataset: Dataset, device: torch.device
) -> tuple[float, float]:
    """Of the gradients of the trial's first step, and of the fastest one after it."""
    state = TrainState.initial(config, dataset, device)
    n = config.batch_size // ranks().count
    shape = (n, *dataset.image_shape)
    images = torch.linspace(-1, 1, math.prod(shape), device=device).reshape(shape)
    batch = Images(images, torch.arange(n, device=device) % dataset.classes)
    watch, took = Stopwatch(device), []
    for _ in range(1 + _TRIED):
        state.gradients(state.network, batch, config.precision)
        took.append(watch.lap())
    return took[0], min(took[1:])


def _tried(measure: Callable[[str], tuple[float, float]]) -> tuple[float, float]:
    """Of compiled steps; forever where they cannot be compiled."""
    _LOG.warning("measuring whether compiling pays, once for trials like this on this machine")
    try:
        return measure("on")
    except Exception as error:  # whatever a compiler makes of a machine that it does not know
        _LOG.warning("steps cannot be compiled here (%s), and are not", one_line(error)[:200])
        return math.inf, math.inf
