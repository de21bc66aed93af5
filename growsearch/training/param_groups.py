"""Parameter groups: which parameters decay, and the rates of each group."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


def decay_groups(
    parameters: Iterable[Tensor], lr: float, weight_decay: float, decay_on: str
) -> list[dict[str, Any]]:
    """Groups of the parameters with weight decay and of those without, whichever there are.

    `decay_on` is "all", or "matrices": parameters of two dimensions or more.
    """
    every = list(parameters)
    decayed = [p for p in every if decay_on == "all" or p.dim() > 1]
    others = [p for p in every if decay_on != "all" and p.dim() <= 1]
    groups: list[dict[str, Any]] = []
    if decayed:
        groups.append({"params": decayed, "lr": lr, "weight_decay": weight_decay})
    if others:
        # said outright, because a trial's weight decay of 0 may change later
        none = {"weight_decay": 0.0, _multiple("weight_decay"): 0.0}
        groups.append({"params": others, "lr": lr, **none})
    return groups


def set_rates(optimizer: torch.optim.Optimizer, **rates: float | None) -> None:
    """Sets rates of all parameter groups, each to its own multiple of them; None leaves one.

    A group's multiple is what it had at first over the trial's own; see Task.optimizer.
    """
    for name, rate in rates.items():
        if rate is not None:
            for group in optimizer.param_groups:
                multiple = group.get(_multiple(name), 1.0)
                group[name] = group[name] if multiple is None else rate * multiple


def note_multiples(optimizer: torch.optim.Optimizer, **rates: float) -> torch.optim.Optimizer:
    """Writes down what multiple of the trial's `rates` each parameter group has.

    Where the trial's is 0 and the group's is not, the group keeps its own.
    """
    for group in optimizer.param_groups:
        for name, rate in rates.items():
            if group.get(name, rate) != rate:
                group[_multiple(name)] = group[name] / rate if rate else None
    return optimizer


def _multiple(name: str) -> str:
    return f"{name}_multiple"
