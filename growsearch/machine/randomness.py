"""Random draws, which depend only on the trial's seed, the epoch and the purpose of the draw."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


def derived_seed(seed: int, epoch: int, purpose: str) -> int:
    """A 63-bit seed that depends only on the arguments, and is the same on every machine."""
    digest = hashlib.sha256(f"{seed}/{epoch}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, epoch: int, purpose: str) -> torch.Generator:
    """A generator on the CPU, so that draws are the same whatever device a trial trains on."""
    return torch.Generator().manual_seed(derived_seed(seed, epoch, purpose))


@dataclass(frozen=True)
class GlobalStates:
    """The states of the global generators of Python, NumPy and torch."""

    processor: tuple[Any, ...]
    """States of the generators on the CPU: Python's, NumPy's, torch's."""
    gpu: Tensor | None
    """State of the current GPU's generator; None where no GPU is used."""

    @classmethod
    def now(cls) -> "GlobalStates":
        numpy = np.random.get_state()
        processor = random.getstate(), tuple(map(_plain, numpy)), _plain(torch.get_rng_state())
        return cls(processor, torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None)

    def restore_gpu(self) -> None:
        """Puts the GPU's generator back; the others stay."""
        if self.gpu is not None:
            torch.cuda.set_rng_state(self.gpu)


def _plain(part: Any) -> Any:
    """A part of a state, such that it can be compared."""
    if isinstance(part, Tensor):
        part = part.numpy()
    return part.tobytes() if isinstance(part, np.ndarray) else part


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within it, the global generators of Python, NumPy and torch start from `seed`.

    Afterwards they are what they were.
    """
    python, array = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(array)
