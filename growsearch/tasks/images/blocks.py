"""Sub-modules: what a network is made of, and what growing adds.

A block takes and gives images [batch, channels, height, width].
"""

from abc import ABC, abstractmethod
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from growsearch.growth.step_sizes import StepSize

BN_EPS = 1e-5


def conv3x3(channels_in: int, channels_out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)


def conv1x1(channels_in: int, channels_out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False)


class Block(nn.Module, ABC):
    """Convolutions, each with its batch normalization: conv1, bn1, conv2, bn2, ..."""

    expansion = 1
    """A block of width w gives w * expansion channels."""
    step = StepSize()
    depth: int
    """Its convolutions."""

    def __init__(self, channels_in: int, width: int, stride: int, step: StepSize) -> None:
        super().__init__()

    def layers(self) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
        """The convolutions in order, each with a batch normalization."""
        numbers = range(1, self.depth + 1)
        return [(getattr(self, f"conv{k}"), getattr(self, f"bn{k}")) for k in numbers]

    @classmethod
    def stem(cls, channels: int, width: int) -> nn.Module:
        """What a network of such blocks for small images begins with."""
        return nn.Sequential(conv3x3(channels, width), nn.BatchNorm2d(width), nn.ReLU())

    @classmethod
    def head(cls, channels: int) -> nn.Module:
        """What a network of such blocks needs between its last block and the pooling."""
        return nn.Identity()


class PlainBlock(Block):
    """relu(bn(conv(x))), without a shortcut (AutoGrow, section 2.1)."""

    depth = 1

    def __init__(self, channels_in: int, width: int, stride: int, step: StepSize) -> None:
        super().__init__(channels_in, width, stride, step)
        self.conv1 = conv3x3(channels_in, width, stride)
        self.bn1 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn1(self.conv1(x)))


class ResidualBlock(Block):
    """A residual that is added to a shortcut."""

    def __init__(self, channels_in: int, width: int, stride: int, step: StepSize) -> None:
        super().__init__(channels_in, width, stride, step)
        self.step = step

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

    def added(self, x: Tensor) -> Tensor:
        """What the block adds to its shortcut."""
        out = self.residual(x)
        return out if self.step.explicit == 1 else self.step.explicit * out

    @property
    def last_normalization(self) -> nn.BatchNorm2d:
        """The residual's last one, with which growing initializes it (AutoGrow, section 2.2)."""
        return self.layers()[-1][1]


class _PostActivationBlock(ResidualBlock):
    """relu(shortcut(x) + residual(x)), the residual's convolutions each followed by their bn.

    The inputs of the residual's k-th bn are `step.implicit` ** k times what they would be without
    growth. Its eps follows, or it would weigh more with each growth and change the function.
    """

    def __init__(self, channels_in: int, width: int, stride: int, step: StepSize) -> None:
        super().__init__(channels_in, width, stride, step)
        for k, conv in enumerate(self.convolutions(channels_in, width, stride), start=1):
            bn = nn.BatchNorm2d(conv.out_channels, eps=BN_EPS * step.implicit ** (2 * k))
            self.add_module(f"conv{k}", conv)
            self.add_module(f"bn{k}", bn)
        channels_out = width * self.expansion
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                conv1x1(channels_in, channels_out, stride), nn.BatchNorm2d(channels_out)
            )

    @staticmethod
    @abstractmethod
    def convolutions(channels_in: int, width: int, stride: int) -> list[nn.Conv2d]:
        """The residual's convolutions in order."""

    def residual(self, x: Tensor) -> Tensor:
        *layers, (last_conv, last_bn) = self.layers()
        for conv, bn in layers:
            x = F.relu(bn(conv(x)))
        return cast(Tensor, last_bn(last_conv(x)))

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
        self.last_normalization.weight.zero_()
        self.last_normalization.bias.zero_()


class BasicBlock(_PostActivationBlock):
    """A residual of two 3x3 convolutions (He et al. 2016a)."""

    depth = 2

    @staticmethod
    def convolutions(channels_in: int, width: int, stride: int) -> list[nn.Conv2d]:
        return [conv3x3(channels_in, width, stride), conv3x3(width, width)]


class BottleneckBlock(_PostActivationBlock):
    """A residual of 1x1, 3x3 and 1x1 convolutions, the second with the stride (He et al. 2016a)."""

    expansion = 4
    depth = 3

    @staticmethod
    def convolutions(channels_in: int, width: int, stride: int) -> list[nn.Conv2d]:
        return [
            conv1x1(channels_in, width),
            conv3x3(width, width, stride),
            conv1x1(width, 4 * width),
        ]


class PreActivationBlock(ResidualBlock):
    """shortcut(x) + conv(relu(bn(conv(relu(bn(x)))))) (He et al. 2016b).

    The shortcut of a block that changes the shape is a convolution of x without normalization.
    """

    depth = 2

    def __init__(self, channels_in: int, width: int, stride: int, step: StepSize) -> None:
        super().__init__(channels_in, width, stride, step)
        self.conv1 = conv3x3(channels_in, width, stride)
        self.conv2 = conv3x3(width, width)
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != width:
            self.shortcut = conv1x1(channels_in, width, stride)

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
    def stem(cls, channels: int, width: int) -> nn.Module:
        return conv3x3(channels, width)

    @classmethod
    def head(cls, channels: int) -> nn.Module:
        return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
