"""Growable networks, built from an Architecture.

A network is a stem, sub-networks of blocks (`subnetworks[i][j]`), and a head; growing only ever
changes the blocks. Images are [batch, channels, height, width]. Convolutions start from the normal
distribution of He et al. (2015) by fan-out in all families. AutoGrow's program leaves PyTorch's
default in its CIFAR networks: a standard deviation of 0.0481 instead of 0.1179 in 3x3 convolutions
of 16 channels.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from growsearch import blocks
from growsearch.architecture import Architecture
from growsearch.blocks import Block, StepSize, conv3x3


class GrowableNetwork(nn.Module):
    """Sub-networks of the given widths, each after the first at half the image's size.

    `steps` are the step sizes of the sub-networks' blocks.
    """

    def __init__(
        self, architecture: Architecture, stem: nn.Module, block: type[Block],
        widths: tuple[int, ...], classes: int, steps: list[StepSize],
    ) -> None:  # fmt: skip
        super().__init__()
        self.architecture = architecture
        self.stem = stem
        self.subnetworks = nn.ModuleList()
        channels = widths[0]
        for width, n, step in zip(widths, architecture.blocks, steps, strict=True):
            first = block(channels, width, 1 if width == widths[0] else 2, step)
            channels = width * block.expansion
            rest = [block(channels, width, 1, step) for _ in range(n - 1)]
            self.subnetworks.append(nn.Sequential(first, *rest))
        self.head = block.head(channels)
        self.classifier = nn.Linear(channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @property
    def blocks(self) -> list[list[Block]]:
        """The blocks of each sub-network, in the order that an image passes them."""
        return [list(cast(Iterable[Block], subnetwork)) for subnetwork in self.subnetworks]

    def features(self, images: Tensor) -> Tensor:
        """The last sub-network's output [batch, channels, height, width]."""
        x = self.stem(images)
        for subnetwork in self.subnetworks:
            x = subnetwork(x)
        return x

    def forward(self, images: Tensor) -> Tensor:
        """Logits [batch, classes]."""
        x = self.head(self.features(images)).to(self.classifier.weight.dtype).mean(dim=(2, 3))
        with torch.autocast(x.device.type, enabled=False):  # in bfloat16 the largest two may tie
            return self.classifier(x)


def _small_stem(channels: int, width: int) -> nn.Module:
    return nn.Sequential(conv3x3(channels, width), nn.BatchNorm2d(width), nn.ReLU())


def _imagenet_stem(channels: int, width: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, width, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
    )


@dataclass(frozen=True)
class _Family:
    block: type[Block]
    stem: Callable[[int, int], nn.Module]
    widths: tuple[int, ...]


_THREE, _FOUR = (16, 32, 64), (64, 128, 256, 512)
# ResNet-(6n+2) for CIFAR and ResNets for ImageNet (He et al. 2016a, 2016b); AutoGrow, section 2.1
_FAMILIES = {
    "basic3resnet": _Family(blocks.BasicBlock, _small_stem, _THREE),
    "preact3resnet": _Family(blocks.PreActivationBlock, conv3x3, _THREE),
    "plain3net": _Family(blocks.PlainBlock, _small_stem, _THREE),
    "basic4resnet": _Family(blocks.BasicBlock, _small_stem, _FOUR),
    "basic4resnet-imagenet": _Family(blocks.BasicBlock, _imagenet_stem, _FOUR),
    "bottleneck4resnet": _Family(blocks.BottleneckBlock, _small_stem, _FOUR),
    "bottleneck4resnet-imagenet": _Family(blocks.BottleneckBlock, _imagenet_stem, _FOUR),
    "plain4net": _Family(blocks.PlainBlock, _small_stem, _FOUR),
    "plain4net-imagenet": _Family(blocks.PlainBlock, _imagenet_stem, _FOUR),
}


def build_network(
    family: str, architecture: Architecture, image_shape: tuple[int, int, int], classes: int,
    seed: int, steps: list[StepSize] | None = None, bn_gamma_init: str = "one",
) -> GrowableNetwork:  # fmt: skip
    """A network on the CPU whose initial weights depend on `seed` alone.

    `image_shape` is channels, height, width. A network that is to take weights that were grown
    needs the `steps` that growth has given each sub-network. `bn_gamma_init` is TrialConfig's. The
    global random state is left as it was.
    """
    made = _FAMILIES[family]
    steps = steps or [StepSize()] * len(made.widths)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        stem = made.stem(image_shape[0], made.widths[0])
        network = GrowableNetwork(architecture, stem, made.block, made.widths, classes, steps)
        for module in network.modules():
            if bn_gamma_init == "uniform" and isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight)
    return network
