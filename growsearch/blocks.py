"""Growable networks, built from an Architecture.

A network is a stem, sub-networks of blocks (`subnetworks[i][j]`), and a head; growing only ever
changes the blocks. Images are [batch, channels, height, width].
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from growsearch.architecture import Architecture

BN_EPS = 1e-5


@dataclass(frozen=True)
class StepSize:
    """What growing by cloning has multiplied a block's residual with (LipGrow, section 4.1).

    `implicit` is in the weights: only the eps of some layers need to know it. `explicit` is a
    factor of the residual.
    """

    implicit: float = 1.0
    explicit: float = 1.0


def conv3x3(channels_in: int, channels_out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)


def conv1x1(channels_in: int, channels_out: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False)


class Block(nn.Module, ABC):
    """A shortcut and a residual of two 3x3 convolutions, each with its batch normalization."""

    bn1: nn.BatchNorm2d
    bn2: nn.BatchNorm2d
    shortcut: nn.Module

    def __init__(self, channels_in: int, channels_out: int, stride: int, step: StepSize) -> None:
        super().__init__()
        self.step = step
        self.conv1 = conv3x3(channels_in, channels_out, stride)
        self.conv2 = conv3x3(channels_out, channels_out)

    @abstractmethod
    def residual(self, x: Tensor) -> Tensor:
        """What the block adds to its shortcut, but for the explicit step size."""

    @abstractmethod
    def scale_residual(self, step: float, statistics: bool = True) -> None:
        """Make the residual `step` times what it was, by its weights and running statistics.

        Without `statistics` these stay as they are, and evaluation mode is wrong until training
        has brought them up to date.
        """

    @abstractmethod
    def silence_residual(self) -> None:
        """Make the residual zero, and leave it free to learn."""

    @classmethod
    def head(cls, channels: int) -> nn.Module:
        """What a network of such blocks needs between its last block and the pooling."""
        return nn.Identity()

    def layers(self) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
        """The residual's convolutions in order, each with a batch normalization."""
        return [(self.conv1, self.bn1), (self.conv2, self.bn2)]

    def added(self, x: Tensor) -> Tensor:
        """What the block adds to its shortcut."""
        out = self.residual(x)
        return out if self.step.explicit == 1 else self.step.explicit * out


class BasicBlock(Block):
    """relu(shortcut(x) + bn(conv(relu(bn(conv(x)))))) (He et al. 2016a).

    Inputs of its first bn are `step.implicit` times, of its second `step.implicit` ** 2 times what
    they would be without growth. Their eps follow, or they would weigh more with each growth and
    change the function.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int, step: StepSize) -> None:
        super().__init__(channels_in, channels_out, stride, step)
        self.bn1 = nn.BatchNorm2d(channels_out, eps=BN_EPS * step.implicit**2)
        self.bn2 = nn.BatchNorm2d(channels_out, eps=BN_EPS * step.implicit**4)
        self.shortcut = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                conv1x1(channels_in, channels_out, stride), nn.BatchNorm2d(channels_out)
            )

    def residual(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.shortcut(x) + self.added(x))

    @torch.no_grad()
    def scale_residual(self, step: float, statistics: bool = True) -> None:
        """Scale the weights and biases of convs and bns by `step` (LipGrow, section 4.1).

        In training mode each bn undoes the scale of the conv before it, so the residual is `step`
        times the old one. Evaluation mode follows only if the running statistics are brought to
        the same scale, which is what the inputs of the k-th bn now have: step ** k.
        """
        incoming = step
        for conv, bn in self.layers():
            assert bn.running_mean is not None
            assert bn.running_var is not None
            conv.weight.mul_(step)
            if statistics:
                bn.running_mean.mul_(incoming)
                bn.running_var.mul_(incoming**2)
            bn.weight.mul_(step)
            bn.bias.mul_(step)
            incoming *= step

    @torch.no_grad()
    def silence_residual(self) -> None:
        self.bn2.weight.zero_()
        self.bn2.bias.zero_()


class PreActivationBlock(Block):
    """shortcut(x) + conv(relu(bn(conv(relu(bn(x)))))) (He et al. 2016b).

    The shortcut of a block that changes the shape is a convolution of x without normalization.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int, step: StepSize) -> None:
        super().__init__(channels_in, channels_out, stride, step)
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = conv1x1(channels_in, channels_out, stride)

    def residual(self, x: Tensor) -> Tensor:
        return self.conv2(F.relu(self.bn2(self.conv1(F.relu(self.bn1(x))))))

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.added(x)

    @torch.no_grad()
    def scale_residual(self, step: float, statistics: bool = True) -> None:
        """Scale the last convolution by `step`, and nothing else.

        The paper scales convs and bns alike, but leaves other layer orders open. Here no bn comes
        after the second convolution: the scales of all of them would multiply.
        """
        self.conv2.weight.mul_(step)

    @torch.no_grad()
    def silence_residual(self) -> None:
        self.conv2.weight.zero_()

    @classmethod
    def head(cls, channels: int) -> nn.Module:
        return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())


class ResidualNetwork(nn.Module):
    """Residual sub-networks of the given widths, each after the first at half the image's size.

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
        shapes = zip(pairwise((widths[0], *widths)), architecture.blocks, steps, strict=True)
        for (width_in, width), n, step in shapes:
            stride = 1 if width_in == width else 2
            first = block(width_in, width, stride, step)
            rest = [block(width, width, 1, step) for _ in range(n - 1)]
            self.subnetworks.append(nn.Sequential(first, *rest))
        self.head = block.head(widths[-1])
        self.classifier = nn.Linear(widths[-1], classes)
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
        return self.classifier(self.head(self.features(images)).mean(dim=(2, 3)))


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


# ResNet-(6n+2) for CIFAR (He et al. 2016a, 2016b), and ResNet-(8n+2) for ImageNet
_FAMILIES = {
    "basic3resnet": _Family(BasicBlock, _small_stem, (16, 32, 64)),
    "preact3resnet": _Family(PreActivationBlock, conv3x3, (16, 32, 64)),
    "basic4resnet-imagenet": _Family(BasicBlock, _imagenet_stem, (64, 128, 256, 512)),
}


def build_network(
    family: str, architecture: Architecture, image_shape: tuple[int, int, int], classes: int,
    seed: int, steps: list[StepSize] | None = None,
) -> ResidualNetwork:  # fmt: skip
    """A network on the CPU whose initial weights depend on `seed` alone.

    `image_shape` is channels, height, width. A network that is to take weights that were grown
    needs the `steps` that growth has given each sub-network. The global random state is left as
    it was.
    """
    made = _FAMILIES[family]
    steps = steps or [StepSize()] * len(made.widths)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        stem = made.stem(image_shape[0], made.widths[0])
        return ResidualNetwork(architecture, stem, made.block, made.widths, classes, steps)
