"""The number format that a trial trains and evaluates in: float32 or bfloat16.

With bfloat16, torch's autocast computes convolutions and the operations on their outputs in
bfloat16. Weights, gradients, momentum, batch statistics and logits stay float32. Growth and
Lipschitz constants are computed in float32, outside autocast.
"""

import torch

from growsearch.trial.errors import InputError

FLOAT32, BFLOAT16 = "float32", "bfloat16"
BFLOAT16_CAPABILITY = (8, 0)
"""Compute capability of the first GPUs with bfloat16 instructions."""


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """The context in which networks compute in `precision`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == BFLOAT16)


def check_precision(precision: str, device: torch.device) -> None:
    """Raises InputError if `precision` is bfloat16 and `device` is a GPU without it."""
    if precision != BFLOAT16 or device.type != "cuda":
        return
    if (capability := torch.cuda.get_device_capability(device)) < BFLOAT16_CAPABILITY:
        raise InputError(
            "precision 'bfloat16' needs a GPU of compute capability 8.0, but "
            f"{torch.cuda.get_device_name(device)} has {capability[0]}.{capability[1]}; use "
            "precision 'auto' or 'float32'"
        )
