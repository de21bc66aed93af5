"""An initializer of your own: new blocks whose last normalization is scaled down.

growsearch train --plugin examples/scaled_down.py --policy hand-tuned --initializer scaled-down
"""

from dataclasses import dataclass

from growsearch import NewBlocks, option, register, scale_and_shift


@register("initializer", "scaled-down")
@dataclass(frozen=True, kw_only=True)
class ScaledDown(NewBlocks):
    """New blocks whose residual starts small."""

    residual_scale: float = option(0.1, "factor of the last normalization's scale", least=0, most=1)

    def initialize(self, block, *, new, step, draw):
        if new:
            for scale in list(scale_and_shift(block))[:1]:  # a block without a residual has none
                scale.mul_(self.residual_scale)
