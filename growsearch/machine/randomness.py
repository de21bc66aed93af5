"""Random draws, which depend only on the trial's seed, the epoch and the purpose of the draw."""

import hashlib

import torch


def derived_seed(seed: int, epoch: int, purpose: str) -> int:
    """A 63-bit seed that depends only on the arguments, and is the same on every machine."""
    digest = hashlib.sha256(f"{seed}/{epoch}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, epoch: int, purpose: str) -> torch.Generator:
    """A generator on the CPU, so that draws are the same whatever device a trial trains on."""
    return torch.Generator().manual_seed(derived_seed(seed, epoch, purpose))
