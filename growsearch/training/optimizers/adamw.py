"""Adam with decoupled weight decay."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from growsearch.trial.components import register
from growsearch.trial.kinds import Optimizer, Proposals
from growsearch.trial.options import option

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class WithAdamW(Optimizer):
    """An optimizer that trains some or all parameters by AdamW."""

    beta1: float = option(
        0.9, "share of AdamW's mean of gradients that a step keeps", least=0, below=1,
        keyed_at_default=False,
    )  # fmt: skip
    beta2: float = option(
        0.999, "share of AdamW's mean of squared gradients that a step keeps", least=0, below=1,
        keyed_at_default=False,
    )  # fmt: skip
    eps: float = option(
        1e-8, "what AdamW adds to the root of the mean of squared gradients", above=0,
        keyed_at_default=False,
    )  # fmt: skip
    decay_on: str = option(
        "matrices", "which parameters have weight decay: matrices, of two dimensions or more, or "
        "all", choices=("matrices", "all"), keyed_at_default=False,
    )  # fmt: skip

    def adamw(
        self, parameters: "Iterable[Tensor]", lr: float, weight_decay: float
    ) -> "torch.optim.AdamW":
        """AdamW of `parameters`, which must not be empty."""
        import torch

        from growsearch.training.param_groups import decay_groups

        parameters = list(parameters)
        groups = decay_groups(parameters, lr, weight_decay, self.decay_on)
        # fused: a third of the time, on CPUs too; torch has it for floating point alone
        fused = all(p.is_floating_point() for p in parameters)
        return torch.optim.AdamW(
            groups, lr=lr, betas=(self.beta1, self.beta2), eps=self.eps, fused=fused
        )


@register("optimizer", "adamw", source="Loshchilov and Hutter 2019, algorithm 2")
@dataclass(frozen=True, kw_only=True)
class AdamW(WithAdamW):
    """Adam with decoupled weight decay, by default on matrices only.

    A step first shrinks weights by lr * weight_decay. The trial's lr is 0.001 and its weight_decay
    0.01 if nothing else is given.
    """

    proposals: ClassVar[Proposals] = {"lr": 1e-3, "weight_decay": 0.01}

    def build(
        self, parameters: "Iterable[Tensor]", lr: float, weight_decay: float
    ) -> "torch.optim.AdamW":
        return self.adamw(parameters, lr, weight_decay)
