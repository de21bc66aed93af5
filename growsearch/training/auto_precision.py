"""The decision of precision "auto": whether bfloat16 is faster on this machine."""

import math
import os
import time

import torch
from torch.nn import functional as F

from growsearch.machine.measured import measured_once
from growsearch.machine.precision import BFLOAT16, BFLOAT16_CAPABILITY, FLOAT32, autocast
from growsearch.machine.processor import bfloat16_instructions, processor
from growsearch.tasks.images.networks import build_network
from growsearch.trial.architecture import Architecture
from growsearch.trial.errors import InputError
from growsearch.trial.options import suggestion

VARIABLE = "GROWSEARCH_PRECISION"
_WORTH = 1.15
"""bfloat16 is used if it is more than this many times as fast as float32. It is at least 1.5 times
as fast with bfloat16 instructions and slower without, so noise does not decide."""
_SECONDS = 0.7
"""Duration of the measurement in seconds."""


def auto_precision(device: torch.device) -> str:
    """The value of precision "auto" on `device`, the same in every process of a machine.

    The environment variable GROWSEARCH_PRECISION decides if it is set. A GPU uses bfloat16 if it
    has the instructions. A CPU is measured once for its processor and torch version; the cache
    folder keeps the result, so that equal trials stay equal. Raises InputError if the variable has
    another value than float32 or bfloat16.
    """
    if given := os.environ.get(VARIABLE):
        if given not in (FLOAT32, BFLOAT16):
            known = suggestion(given, (FLOAT32, BFLOAT16))
            raise InputError(f"unknown {VARIABLE} {given!r}{known}")
        return given
    if device.type == "cuda":
        has_bfloat16 = torch.cuda.get_device_capability(device) >= BFLOAT16_CAPABILITY
        return BFLOAT16 if has_bfloat16 else FLOAT32
    kind = f"{processor()} {bfloat16_instructions()} torch {torch.__version__}"
    # if the cache folder cannot be written, each process measures, and _WORTH keeps results equal
    return measured_once(
        "precision", kind, lambda: BFLOAT16 if bfloat16_speedup() > _WORTH else FLOAT32
    )


def bfloat16_speedup(seconds: float = _SECONDS) -> float:
    """The float32 time of a small network's forward and backward pass over its bfloat16 time.

    Both are measured in turn for `seconds`, and the fastest of each counts. They are processor
    times of one thread, which other load on the machine does not change.
    """
    threads, cpu = torch.get_num_threads(), torch.device("cpu")
    network = build_network("basic3resnet", Architecture("1-1-1"), (1, 28, 28), 10, seed=0)
    network.to(memory_format=torch.channels_last)
    images, labels = torch.full((16, 1, 28, 28), 0.5), torch.arange(16) % 10
    fastest = {FLOAT32: math.inf, BFLOAT16: math.inf}
    until, rounds = time.perf_counter() + seconds, 0
    torch.set_num_threads(1)
    try:
        while rounds < 3 or time.perf_counter() < until:  # the first rounds prepare kernels
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
