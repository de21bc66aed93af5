"""Where every random draw comes from: the trial's seed, the epoch and what is drawn."""

import hashlib

import torch


def derived_seed(seed: int, epoch: int, purpose: str) -> int:
    """A 63-bit seed that depends on its arguments alone, on any machine."""
    digest = hashlib.sha256(f"{seed}/{epoch}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, epoch: int, purpose: str) -> torch.Generator:
    """A CPU generator, so that a trial draws the same numbers whatever device it trains on."""
    return torch.Generator().manual_seed(derived_seed(seed, epoch, purpose))
