"""What the network families for images share."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from growsearch.trial.architecture import Architecture
from growsearch.trial.kinds import Family

if TYPE_CHECKING:
    from growsearch.growth.step_sizes import StepSize
    from growsearch.tasks.images.blocks import Block
    from growsearch.tasks.images.networks import GrowableNetwork


@dataclass(frozen=True, kw_only=True)
class ImageFamily(Family):
    """A stem, sub-networks of blocks, and a head."""

    widths: ClassVar[tuple[int, ...]]
    """Channels of the sub-networks. The first has the stem's image size, each other half of the
    one before."""
    imagenet_stem: ClassVar[bool] = False
    """Whether the stem is ImageNet's (a 7x7 convolution and max pooling) instead of a 3x3
    convolution."""

    @abstractmethod
    def block(self) -> "type[Block]":
        """The class of the blocks."""

    def build(
        self, architecture: Architecture, shape: tuple[int, int, int], classes: int,
        steps: "list[StepSize]",
    ) -> "GrowableNetwork":  # fmt: skip
        from growsearch.tasks.images.networks import GrowableNetwork, imagenet_stem

        block = self.block()
        stem = imagenet_stem if self.imagenet_stem else block.stem
        return GrowableNetwork(
            architecture, stem(shape[0], self.widths[0]), block, self.widths, classes, steps
        )


THREE, FOUR = (16, 32, 64), (64, 128, 256, 512)
"""Widths of ResNet-(6n+2) for CIFAR, and of the ResNets for ImageNet (He et al. 2016a)."""
