"""Muon for the matrices of blocks."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from growsearch.training.optimizers.adamw import WithAdamW
from growsearch.trial.components import register
from growsearch.trial.errors import InputError
from growsearch.trial.kinds import Proposals
from growsearch.trial.options import option

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from growsearch.tasks.task import Task


@register("optimizer", "muon", source="Jordan et al. 2024; Liu et al. 2025, arXiv:2502.16982")
@dataclass(frozen=True, kw_only=True)
class Muon(WithAdamW):
    """Muon for the matrices of blocks, AdamW for all other parameters.

    Muon orthogonalizes each matrix's momentum before it takes a step. Matrices are the blocks'
    parameters of two dimensions; convolutions count as matrices of a row for each output channel.
    Everything outside of blocks (embeddings, stem, head) and all scales and biases are AdamW's. The
    trial's lr is 0.001 and its weight_decay 0.1 if nothing else is given.
    """

    proposals: ClassVar[Proposals] = {"lr": 1e-3, "weight_decay": 0.1}

    momentum: float = option(
        0.95, "momentum coefficient", least=0, below=1,
        keyed_at_default=False,
    )  # fmt: skip
    nesterov: str = option(
        "on", "whether steps look ahead by the momentum (Nesterov)", choices=("off", "on"),
        keyed_at_default=False,
    )  # fmt: skip
    ns_steps: int = option(
        5, "Newton-Schulz iterations, which orthogonalize", least=1, most=99,
        keyed_at_default=False,
    )  # fmt: skip
    muon_scale: str = option(
        "match_rms_adamw", "how the learning rate of an n x m matrix is scaled: by 0.2 sqrt(max(n, "
        "m)), so that its steps are as long as AdamW's, or by sqrt(max(1, n / m)) as at first",
        choices=("match_rms_adamw", "original"), keyed_at_default=False,
    )  # fmt: skip
    adamw_rate: float = option(
        1.0, "learning rate of AdamW's parameters, as a multiple of lr", above=0,
        keyed_at_default=False,
    )  # fmt: skip

    def build(
        self, parameters: "Iterable[Tensor]", lr: float, weight_decay: float
    ) -> "torch.optim.Optimizer":
        raise InputError(
            "optimizer 'muon' has to know which parameters are those of blocks; call "
            "self.trial.optimizer.build_for(self, model) in the task's optimizer"
        )

    def build_for(self, task: "Task", model: "nn.Module") -> "torch.optim.Optimizer":
        from growsearch.training.muon_and_adamw import MuonAndAdamW, muon

        lr, weight_decay = task.trial.lr, task.trial.weight_decay
        in_blocks = {
            p for stack in task.blocks(model) for block in stack for p in block.parameters()
        }
        matrices = [p for p in model.parameters() if p in in_blocks and p.dim() > 1]
        chosen = set(matrices)
        others = [p for p in model.parameters() if p not in chosen]
        if not matrices:
            raise InputError(
                f"optimizer 'muon' trains matrices of blocks, and blocks of {task.label} have "
                "none; choose 'adamw'"
            )
        by_muon = muon(
            matrices, lr=lr, weight_decay=weight_decay, momentum=self.momentum,
            nesterov=self.nesterov == "on", ns_steps=self.ns_steps, adjust_lr_fn=self.muon_scale,
        )  # fmt: skip
        by_adamw = self.adamw(others, lr * self.adamw_rate, weight_decay) if others else None
        return MuonAndAdamW(by_muon, by_adamw)
