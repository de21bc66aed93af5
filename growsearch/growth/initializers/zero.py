"""New blocks that add nothing yet (AutoGrow, section 2.2)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from growsearch.growth.new_blocks import LastNormalization
from growsearch.trial.components import register

if TYPE_CHECKING:
    from torch import nn


@register("initializer", "zero", source="AutoGrow, section 2.2")
@dataclass(frozen=True, kw_only=True)
class Zero(LastNormalization):
    """New blocks whose residual is zero: the function is kept.

    Scale and shift of the residual's last batch normalization are zero. The block's input passes
    its last ReLU unchanged.
    """

    block_methods = ("silence_residual",)

    def initialize(self, block: "nn.Module", *, new: bool, step: float, draw: Any) -> None:
        silence = getattr(block, "silence_residual", None)
        if new and silence is not None:
            silence()
