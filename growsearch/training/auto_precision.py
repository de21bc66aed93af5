"""What precision "auto" comes to on this machine."""

import math
import os
import time

import torch
from torch.nn import functional as F

from growsearch.machine.measured import measured_once
from growsearch.machine.precision import BFLOAT16, BFLOAT16_CAPABILITY, FLOAT32, autocast
from growsearch.machine.processor import bfloat16_instructions, processor
from growsearch.tasks.images.families import build_network
from growsearch.trial.architecture import Architecture
from growsearch.trial.choices import PRECISIONS
from growsearch.trial.errors import InputError
from growsearch.trial.options import suggestion

VARIABLE = "GROWSEARCH_PRECISION"
_WORTH = 1.15
"""bfloat16 must be so many times as fast: with the instructions it is 1.5 times and more, without
them slower than float32, so that noise does not decide."""
_SECONDS = 0.7
"""That measuring takes."""


def auto_precision(device: torch.device) -> str:
    """What precision "auto" comes to on `device`, the same in every process of a machine.

    On a CPU it is measured once for its processor and torch's version, and remembered in the cache
    folder, so that equal trials stay equal; the environment's GROWSEARCH_PRECISION stands in for
    that. On a GPU it is bfloat16 where that has instructions for it.
    """
    if given := os.environ.get(VARIABLE):
        if given not in PRECISIONS[1:]:
            raise InputError(f"unknown {VARIABLE} {given!r}{suggestion(given, PRECISIONS[1:])}")
        return given
    if device.type == "cuda":
        has_it = torch.cuda.get_device_capability(device) >= BFLOAT16_CAPABILITY
        return BFLOAT16 if has_it else FLOAT32
    kind = f"{processor()} {bfloat16_instructions()} torch {torch.__version__}"
    # where nothing can be remembered, each process measures, and the margin must do
    return measured_once(
        "precision", kind, lambda: BFLOAT16 if bfloat16_speedup() > _WORTH else FLOAT32
    )


def bfloat16_speedup(seconds: float = _SECONDS) -> float:
    """How many times as fast a small network's forward and backward pass is in bfloat16.

    In processor time of one thread, so that a busy machine does not count; the fastest of those
    that so many seconds allow, taken in turn.
    """
    threads, cpu = torch.get_num_threads(), torch.device("cpu")
    network = build_network("basic3resnet", Architecture("1-1-1"), (1, 28, 28), 10, seed=0)
    network.to(memory_format=torch.channels_last)
    images, labels = torch.full((16, 1, 28, 28), 0.5), torch.arange(16) % 10
    fastest = {FLOAT32: math.inf, BFLOAT16: math.inf}
    until, rounds = time.perf_counter() + seconds, 0
    torch.set_num_threads(1)
    try:
        while rounds < 3 or time.perf_counter() < until:  # the first ones prepare the kernels
            for precision in fastest:
                started = time.process_time()
                with autocast(precision, cpu):
                    logits = network(images)
                F.cross_entropy(logits, labels).backward()
                fastest[precision] = min(fastest[precision], time.process_time() - started)
            rounds += 1
    finally:
        torch.set_num_threads(threads)
    return fastest[FLOAT32] / fastest[BFLOAT16]
