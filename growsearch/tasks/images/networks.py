"""Growable networks, built from an Architecture.

A network is a stem, sub-networks of blocks (`subnetworks[i][j]`), and a head; growing only ever
changes the blocks. Images are [batch, channels, height, width]. Convolutions start from the normal
distribution of He et al. (2015) by fan-out in all families. AutoGrow's program leaves PyTorch's
default in its CIFAR networks: a standard deviation of 0.0481 instead of 0.1179 in 3x3 convolutions
of 16 channels.
"""

from collections.abc import Iterable
from functools import cache
from typing import cast

import torch
from torch import Tensor, nn

from growsearch.growth.step_sizes import StepSize, guard_step_sizes
from growsearch.machine.randomness import seeded
from growsearch.tasks.images.blocks import Block
from growsearch.tasks.images.costs import count_macs
from growsearch.tasks.scores import count_parameters
from growsearch.trial.architecture import Architecture
from growsearch.trial.components import component
from growsearch.trial.kinds import Family


class GrowableNetwork(nn.Module):
    """Sub-networks of the given widths, each after the first at half the image's size.

    `steps` are the step sizes of the sub-networks' blocks. A network's state dict has them in its
    metadata, and a file of weights as a tensor [sub-networks, 2] beside the weights. Weights that
    were trained with other step sizes do not load: `load_state_dict` raises RuntimeError.
    """

    def __init__(
        self, architecture: Architecture, stem: nn.Module, block: type[Block],
        widths: tuple[int, ...], classes: int, steps: list[StepSize],
    ) -> None:  # fmt: skip
        super().__init__()
        guard_step_sizes(self, steps)
        self.architecture = architecture
        self.stem = stem
        self.subnetworks = nn.ModuleList()
        channels = widths[0]
        stages = zip(widths, architecture.blocks, steps, strict=True)
        for i, (width, n, step) in enumerate(stages):
            first = block(channels, width, 2 if i else 1, step)
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


def imagenet_stem(channels: int, width: int) -> nn.Module:
    """ImageNet's: a quarter of the image's height and width (He et al. 2016a)."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
    )


def new_network(
    family: Family, architecture: Architecture, image_shape: tuple[int, int, int], classes: int,
    steps: list[StepSize], bn_gamma_init: str = "one",
) -> GrowableNetwork:  # fmt: skip
    """A network of the family on the CPU, its initial weights from the global generator.

    `image_shape` is channels, height, width. `steps` are the step sizes that growth has given the
    sub-networks' blocks. `bn_gamma_init` is TrialConfig's.
    """
    network: GrowableNetwork = family.build(architecture, image_shape, classes, steps)
    for module in network.modules():
        if bn_gamma_init == "uniform" and isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight)
    return network


def build_network(
    family: Family | str, architecture: Architecture, image_shape: tuple[int, int, int],
    classes: int, seed: int, steps: list[StepSize] | None = None, bn_gamma_init: str = "one",
) -> GrowableNetwork:  # fmt: skip
    """`new_network` of the family, or of the family of that name, with weights from `seed` alone.

    The global random state is left as it was. Without `steps` a network cannot take weights that
    were grown. Raises InputError for the name of no family.
    """
    made = component("network", family)() if isinstance(family, str) else family
    assert isinstance(made, Family)
    steps = steps or [StepSize()] * made.subnetworks
    with seeded(seed):
        return new_network(made, architecture, image_shape, classes, steps, bn_gamma_init)


@cache
def network_size(
    family: Family, image_shape: tuple[int, int, int], classes: int, architecture: str
) -> tuple[int, int]:
    """Parameters, and multiply-accumulates for one image."""
    network = build_network(family, Architecture(architecture), image_shape, classes, seed=0)
    return count_parameters(network), count_macs(network, image_shape)
