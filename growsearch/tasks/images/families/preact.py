"""Pre-activation ResNets (He et al. 2016b)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from growsearch.tasks.images.family import THREE, ImageFamily
from growsearch.trial.components import register

if TYPE_CHECKING:
    from growsearch.tasks.images.blocks import Block


@register("network", "preact3resnet", source="He et al. 2016b")
@dataclass(frozen=True, kw_only=True)
class PreAct3ResNet(ImageFamily):
    """Three sub-networks of pre-activation blocks."""

    subnetworks = 3
    residual = True
    widths = THREE

    def block(self) -> "type[Block]":
        from growsearch.tasks.images.blocks import PreActivationBlock

        return PreActivationBlock
