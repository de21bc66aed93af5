"""ResNets of bottleneck blocks (He et al. 2016a)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from growsearch.tasks.images.family import FOUR, ImageFamily
from growsearch.trial.components import register

if TYPE_CHECKING:
    from growsearch.tasks.images.blocks import Block


@register("network", "bottleneck4resnet", source="He et al. 2016a; AutoGrow, section 2.1")
@dataclass(frozen=True, kw_only=True)
class Bottleneck4ResNet(ImageFamily):
    """Four sub-networks of bottleneck blocks, for small images."""

    subnetworks = 4
    residual = True
    widths = FOUR

    def block(self) -> "type[Block]":
        from growsearch.tasks.images.blocks import BottleneckBlock

        return BottleneckBlock


@register("network", "bottleneck4resnet-imagenet", source="He et al. 2016a")
@dataclass(frozen=True, kw_only=True)
class Bottleneck4ResNetImageNet(Bottleneck4ResNet):
    """Four sub-networks of bottleneck blocks, with ImageNet's stem."""

    imagenet_stem = True
