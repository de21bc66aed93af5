"""Where a trial trains."""

import torch

from growsearch.errors import InputError


def device_of(name: str) -> torch.device:
    """The device that "auto", "cpu" or "cuda" names; InputError for a GPU that is not there."""
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InputError("device 'cuda' was asked for, but torch finds none; use auto or cpu")
    if name == "cpu" or not available:
        return torch.device("cpu")
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    return torch.device("cuda")
