"""ResNets of basic blocks (He et al. 2016a)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from growsearch.tasks.images.family import FOUR, THREE, ImageFamily
from growsearch.trial.components import register

if TYPE_CHECKING:
    from growsearch.tasks.images.blocks import Block


@register("network", "basic3resnet", source="He et al. 2016a; AutoGrow, section 2.1")
@dataclass(frozen=True, kw_only=True)
class Basic3ResNet(ImageFamily):
    """ResNet-(6n+2) for CIFAR: three sub-networks of basic blocks."""

    subnetworks = 3
    residual = True
    widths: ClassVar[tuple[int, ...]] = THREE

    def block(self) -> "type[Block]":
        from growsearch.tasks.images.blocks import BasicBlock

        return BasicBlock


@register("network", "basic4resnet", source="He et al. 2016a; AutoGrow, section 2.1")
@dataclass(frozen=True, kw_only=True)
class Basic4ResNet(Basic3ResNet):
    """Four sub-networks of basic blocks, for small images."""

    subnetworks = 4
    widths: ClassVar[tuple[int, ...]] = FOUR


@register("network", "basic4resnet-imagenet", source="He et al. 2016a")
@dataclass(frozen=True, kw_only=True)
class Basic4ResNetImageNet(Basic4ResNet):
    """Four sub-networks of basic blocks, with ImageNet's stem."""

    imagenet_stem = True
