"""The device that a trial trains on, and a stopwatch for it."""

import time
from typing import Any

import torch

from growsearch.trial.errors import InputError


def device_of(name: str) -> torch.device:
    """The device named "auto", "cpu" or "cuda", whose float32 numbers keep all of their bits.

    Makes cuDNN deterministic if it is a GPU.

    Raises InputError for "cuda" if torch finds no GPU.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InputError("device 'cuda' needs a GPU, but torch finds none; use auto or cpu")
    torch.set_float32_matmul_precision("highest")  # a script may have chosen TF32 or bfloat16
    if name == "cpu" or not available:
        return torch.device("cpu")
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False  # TF32 drops bits of float32 numbers
    return torch.device("cuda")


class Stopwatch:
    """Measures the time of work on `device`, lap by lap; on a GPU by CUDA events."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._last = self._now()

    def lap(self) -> float:
        """Seconds since the last lap, or since the start. Waits until the work begun is done."""
        last, self._last = self._last, self._now()
        if isinstance(last, torch.cuda.Event):
            self._last.synchronize()
            return last.elapsed_time(self._last) / 1000
        return self._last - last

    def _now(self) -> Any:
        if self.device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event
