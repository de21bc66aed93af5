"""Muon for some parameters and AdamW for the others, as one optimizer."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def muon(parameters: Sequence[Tensor], **settings: Any) -> torch.optim.Muon:
    """torch's Muon of parameters of two dimensions or more, which only MuonAndAdamW may step."""
    made = torch.optim.Muon([_matrix(p) for p in parameters], **settings)
    made.param_groups[0]["params"] = list(parameters)
    return made


class MuonAndAdamW(torch.optim.Optimizer):
    """Steps the parameters of both optimizers, whose groups and state it has.

    Each group says in "by" which of them takes its steps. The state of a parameter is what its
    optimizer keeps: Muon's momentum of [rows, columns], or AdamW's moments and step.
    """

    def __init__(self, by_muon: torch.optim.Muon, by_adamw: torch.optim.AdamW | None) -> None:
        self._muon, self._adamw = by_muon, by_adamw
        groups = [group | {"by": "muon"} for group in by_muon.param_groups]
        if by_adamw is not None:
            groups += [group | {"by": "adamw"} for group in by_adamw.param_groups]
        super().__init__(groups, {})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Takes a step of each parameter that has a gradient. There can be no closure."""
        assert closure is None
        self._step_by_muon()
        if self._adamw is not None:
            self._adamw.param_groups = [g for g in self.param_groups if g["by"] == "adamw"]
            self._adamw.state = self.state
            self._adamw.step()

    def _step_by_muon(self) -> None:
        groups: list[dict[str, Any]] = []
        matrices: dict[Tensor, Tensor] = {}
        for group in self.param_groups:
            if group["by"] == "muon":
                mine = {p: _matrix(p) for p in group["params"] if p.grad is not None}
                groups.append(group | {"params": list(mine.values())})
                matrices |= mine
        self._muon.param_groups = groups
        self._muon.state.clear()
        for parameter, matrix in matrices.items():
            self._muon.state[matrix] = self.state[parameter]
        self._muon.step()
        for parameter, matrix in matrices.items():
            if matrix is not parameter:
                parameter.copy_(matrix.view_as(parameter))


def _matrix(parameter: Tensor) -> Tensor:
    """The parameter if it is a matrix, or a copy with a row for each index of its first dimension.

    The copy has the gradient, too. Its columns do not depend on the order in memory.
    """
    if parameter.dim() == 2:
        return parameter
    matrix = parameter.detach().clone(memory_format=torch.contiguous_format).flatten(1)
    if parameter.grad is not None:
        matrix.grad = parameter.grad.flatten(1)
    return matrix
