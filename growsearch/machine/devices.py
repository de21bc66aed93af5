"""Where a trial trains, and how long that takes there."""

import time
from typing import Any

import torch

from growsearch.trial.errors import InputError


def device_of(name: str) -> torch.device:
    """The device that "auto", "cpu" or "cuda" names; InputError for a GPU that is not there."""
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InputError("device 'cuda' was asked for, but torch finds none; use auto or cpu")
    if name == "cpu" or not available:
        return torch.device("cpu")
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False  # float32 is float32; for speed there is bfloat16
    return torch.device("cuda")


class Stopwatch:
    """Times work on `device` piece by piece, in seconds; on a GPU in its own, by events."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._last = self._now()

    def lap(self) -> float:
        """Of what was begun since the last call, or since the start. Waits until it is done."""
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
