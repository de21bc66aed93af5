"""The numbers that a trial trains and evaluates in: float32, or bfloat16 where that is faster.

bfloat16 is torch's autocast: convolutions and what follows them. Weights, their gradients and
momentum, statistics and logits stay float32, and so do growth and Lipschitz constants, which never
enter it.
"""

import torch

from growsearch.trial.errors import InputError

FLOAT32, BFLOAT16 = "float32", "bfloat16"
INSTRUCTIONS = (8, 0)
"""Compute capability of the first GPUs with bfloat16."""


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Within it, networks compute in `precision`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == BFLOAT16)


def check_precision(precision: str, device: torch.device) -> None:
    """InputError where `device` has no bfloat16 that convolutions can use."""
    if precision != BFLOAT16 or device.type != "cuda":
        return
    if (capability := torch.cuda.get_device_capability(device)) < INSTRUCTIONS:
        raise InputError(
            "precision 'bfloat16' needs a GPU of compute capability 8.0, but "
            f"{torch.cuda.get_device_name(device)} has {capability[0]}.{capability[1]}; use "
            "precision 'auto' or 'float32'"
        )
