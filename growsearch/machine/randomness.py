"""Random draws, which depend only on the trial's seed, the epoch and the purpose of the draw."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derived_seed(seed: int, epoch: int, purpose: str) -> int:
    """A 63-bit seed that depends only on the arguments, and is the same on every machine."""
    digest = hashlib.sha256(f"{seed}/{epoch}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, epoch: int, purpose: str) -> torch.Generator:
    """A generator on the CPU, so that draws are the same whatever device a trial trains on."""
    return torch.Generator().manual_seed(derived_seed(seed, epoch, purpose))


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
