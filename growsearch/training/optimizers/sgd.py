"""Stochastic gradient descent."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from growsearch.trial.components import register
from growsearch.trial.errors import InputError
from growsearch.trial.kinds import Optimizer
from growsearch.trial.options import option

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@register("optimizer", "sgd", source="LipGrow, section 5.2")
@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """SGD with momentum, and with weight decay on all parameters."""

    momentum: float = option(0.9, "momentum coefficient", least=0, most=1, keyed_at_default=False)
    nesterov: str = option(
        "off", "whether steps look ahead by the momentum (Nesterov)", choices=("off", "on"),
        keyed_at_default=False,
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov == "on" and not self.momentum:
            raise InputError(
                "nesterov='on' looks ahead by the momentum, but momentum is 0; give a momentum "
                "above 0, or leave nesterov out"
            )

    def build(
        self, parameters: "Iterable[Tensor]", lr: float, weight_decay: float
    ) -> "torch.optim.SGD":
        import torch

        # foreach: the same bits in less time, on CPUs too
        return torch.optim.SGD(
            parameters, lr=lr, momentum=self.momentum, weight_decay=weight_decay,
            nesterov=self.nesterov == "on", foreach=True,
        )  # fmt: skip
