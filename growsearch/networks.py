"""Growable networks, built from an Architecture.

A network is a stem, sub-networks of blocks (`subnetworks[i][j]`), and a classifier; growing only
ever changes the blocks. Images are [batch, channels, height, width].
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from growsearch.architecture import Architecture
from growsearch.randomness import derived_seed

BN_EPS = 1e-5


def conv3x3(channels_in: int, channels_out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)


class BasicBlock(nn.Module):
    """relu(shortcut(x) + bn(conv(relu(bn(conv(x)))))) (He et al. 2016a).

    `step` is the step size that growth has put into the weights: inputs of the first bn are
    `step` times, of the second `step` ** 2 times what they were. Their eps follow, or they would
    weigh more with each growth and change the function.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int, step: float = 1) -> None:
        super().__init__()
        self.conv1 = conv3x3(channels_in, channels_out, stride)
        self.bn1 = nn.BatchNorm2d(channels_out, eps=BN_EPS * step**2)
        self.conv2 = conv3x3(channels_out, channels_out)
        self.bn2 = nn.BatchNorm2d(channels_out, eps=BN_EPS * step**4)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False),
                nn.BatchNorm2d(channels_out),
            )

    def residual(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.shortcut(x) + self.residual(x))

    def scaled_parts(self) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
        """The residual branch's layers in order, without the shortcut."""
        return [(self.conv1, self.bn1), (self.conv2, self.bn2)]


class Basic3ResNet(nn.Module):
    """The CIFAR ResNet: 16, 32 and 64 channels in three sub-networks of basic blocks.

    With n blocks in each it is ResNet-(6n+2). Any image size and number of channels will do.
    `seed` is the architecture that it has grown from, if it has.
    """

    widths = (16, 32, 64)

    def __init__(
        self, architecture: Architecture, channels: int, classes: int, seed: Architecture
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.stem = nn.Sequential(
            conv3x3(channels, self.widths[0]), nn.BatchNorm2d(self.widths[0]), nn.ReLU()
        )
        self.subnetworks = nn.ModuleList()
        widths = (self.widths[0], *self.widths)
        depths = zip(architecture.blocks, seed.blocks, strict=True)
        for (width_in, width), (n, n_seed) in zip(pairwise(widths), depths, strict=True):
            step, stride = n_seed / n, 1 if width_in == width else 2
            first = BasicBlock(width_in, width, stride, step)
            rest = [BasicBlock(width, width, stride=1, step=step) for _ in range(n - 1)]
            self.subnetworks.append(nn.Sequential(first, *rest))
        self.classifier = nn.Linear(self.widths[-1], classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @property
    def blocks(self) -> list[list[BasicBlock]]:
        """The blocks of each sub-network, in the order that an image passes them."""
        return [list(cast(Iterable[BasicBlock], subnetwork)) for subnetwork in self.subnetworks]

    def forward(self, images: Tensor) -> Tensor:
        """Logits [batch, classes]."""
        x = self.stem(images)
        for subnetwork in self.subnetworks:
            x = subnetwork(x)
        return self.classifier(x.mean(dim=(2, 3)))


_FAMILIES = {"basic3resnet": Basic3ResNet}


def build_network(
    family: str, architecture: Architecture, image_shape: tuple[int, int, int], classes: int,
    seed: int, grown_from: Architecture | None = None,
) -> Basic3ResNet:  # fmt: skip
    """A network on the CPU whose initial weights depend on `seed` alone.

    `image_shape` is channels, height, width. A network that is to take weights that were grown
    needs the architecture that they have `grown_from`. The global random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(seed, 0, "weights"))
        return _FAMILIES[family](architecture, image_shape[0], classes, grown_from or architecture)
