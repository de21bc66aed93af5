"""AdamInit (AutoGrow, section 2.2)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from growsearch.growth.new_blocks import LastNormalization, scale_and_shift
from growsearch.trial.components import register
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import History

if TYPE_CHECKING:
    import torch
    from torch import nn

ADAM_LR = 0.001
"""Adam's learning rate (AutoGrow's program)."""
ADAM_EPOCHS = 10
"""The most epochs that it takes (AutoGrow, section 2.2)."""
ADAM_TOLERANCE = 0.5
"""Percentage points that training accuracy may then lack (AutoGrow's program)."""


@register("initializer", "adam", source="AutoGrow, section 2.2")
@dataclass(frozen=True, kw_only=True)
class AdamInit(LastNormalization):
    """New blocks, their last normalization trained alone by Adam until accuracy is back.

    The running statistics of old blocks, stem and head stand still meanwhile, so that growing
    changes nothing old. AutoGrow's program differs in three points: it moves the running statistics
    of all normalizations, its Adam has a weight decay of 5e-4 and ours has none, and it stops when
    training accuracy lacks strictly less than half a point, not at half a point. Plain networks
    lack the normalization: there it is the default initialization.
    """

    reads = ("train_accuracy",)
    apart_lr = ADAM_LR
    freezes_statistics = True

    def is_apart(self, trial: TrialConfig) -> bool:
        return trial.task.residual

    def apart_parameters(self, block: "nn.Module") -> "Iterable[nn.Parameter]":
        return cast("Iterable[nn.Parameter]", scale_and_shift(block))

    def apart_optimizer(self, parameters: "list[nn.Parameter]") -> "torch.optim.Optimizer":
        import torch

        return torch.optim.Adam(parameters, lr=ADAM_LR)

    def initialized(self, trial: TrialConfig, history: History) -> bool:
        """When training accuracy is what it was before the growth, or after 10 epochs."""
        before = history[history.last_growth - 1].train_accuracy
        now = history[-1].train_accuracy
        assert before is not None and now is not None
        short = before - now
        return len(history.since_growth) >= ADAM_EPOCHS or short <= ADAM_TOLERANCE
