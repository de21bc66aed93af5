"""Lipschitz constants of residual blocks (LipGrow, section 4.3).

Vectors of G layers of one shape are [G, n], n = channels_in * height * width of their input.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from math import prod
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from growsearch.growth.constants import LipschitzConstants
from growsearch.growth.lanczos import FRESH, largest_singular_values
from growsearch.machine.randomness import generator
from growsearch.tasks.images.networks import GrowableNetwork

# within 1 % of the true norms at every epoch of real runs: tests/test_lipschitz.py
PRODUCTS = 30
FIRST_PRODUCTS = 16
"""These suffice for settled vectors if no Ritz value may still come to exceed the largest."""


def lipschitz_constants(
    network: GrowableNetwork, image_size: tuple[int, int], vectors: dict[str, Tensor],
    seed: int = 0, settled: bool = False,
) -> LipschitzConstants:  # fmt: skip
    """The Lipschitz constants of the blocks' layers: conv1, bn1, conv2, bn2, ... for each block.

    Shortcuts are left out. A convolution's is its operator norm on images of the size that it
    sees, an estimate from below; a batch normalization's is max |gamma| / sqrt(running variance +
    eps); a ReLU's is 1. `image_size` is height and width of the network's input. `vectors` holds
    a start vector for each convolution by its name, which the call brings up to date; `settled`
    says that all of them are those of the epoch before, so that few products may do. Random
    numbers come from `seed`; no other random state is touched.

    The last normalization's constant is multiplied by the block's explicit step size, because the
    block adds that multiple of its residual. LipGrow's program ignores the step size: once the
    depth has doubled, its constants of the same tensors are twice as high. A constant factor does
    not change the ratio that rtol limits. With rtol below 1 its trigger grows an epoch earlier
    than ours.
    """
    convolutions = _convolutions(network, image_size)
    norms = iter(_operator_norms(convolutions, vectors, seed, settled).values())
    scales = iter(_normalization_constants(network))
    by_layer = [
        [[c for _ in block.layers() for c in (next(norms), next(scales))] for block in blocks]
        for blocks in network.blocks
    ]
    for block, constants in zip(chain.from_iterable(network.blocks), chain(*by_layer), strict=True):
        constants[-2] *= block.step.explicit
    return LipschitzConstants(by_layer)


@dataclass(frozen=True)
class _Layer:
    """A convolution as the linear operator that it is on images of its real size."""

    conv: nn.Conv2d
    image_size: tuple[int, int]

    @property
    def shape(self) -> tuple[object, ...]:
        """Layers of one shape can share one batched iteration."""
        return (self.conv.weight.shape, self.conv.stride, self.conv.padding, self.image_size)

    @property
    def output_size(self) -> tuple[int, int]:
        return _output_size(self.image_size, *self.geometry)

    @property
    def geometry(self) -> tuple[int, int, int]:
        """Kernel size, stride and padding, the same in both directions."""
        return self.conv.kernel_size[0], self.conv.stride[0], int(self.conv.padding[0])


def _output_size(size: tuple[int, int], kernel: int, stride: int, padding: int) -> tuple[int, int]:
    height, width = ((n + 2 * padding - kernel) // stride + 1 for n in size)
    return height, width


def _convolutions(network: GrowableNetwork, image_size: tuple[int, int]) -> dict[str, _Layer]:
    """The blocks' convolutions by name, in the order that an image passes them."""
    for module in network.stem.modules():
        if isinstance(module, nn.Conv2d):
            image_size = _Layer(module, image_size).output_size
        elif isinstance(module, nn.MaxPool2d):
            geometry = (module.kernel_size, module.stride, module.padding)
            image_size = _output_size(image_size, *map(int, cast(tuple[int, int, int], geometry)))
    names = {module: name for name, module in network.named_modules()}
    layers = {}
    for block in chain.from_iterable(network.blocks):
        for conv, _ in block.layers():
            layers[names[conv]] = layer = _Layer(conv, image_size)
            image_size = layer.output_size
    return layers


@torch.no_grad()
def _operator_norms(
    layers: dict[str, _Layer], vectors: dict[str, Tensor], seed: int, settled: bool
) -> dict[str, float]:
    groups = defaultdict(list)
    for name, layer in layers.items():
        groups[layer.shape].append(name)
    norms = []
    for group in groups.values():
        known = [vectors.get(name) for name in group]
        found, ended = _largest_singular_values([layers[n] for n in group], known, seed, settled)
        norms.append(found)
        vectors.update(zip(group, ended.unbind(), strict=True))
    found_of = dict(zip(chain(*groups.values()), torch.cat(norms).tolist(), strict=True))
    return {name: found_of[name] for name in layers}


def _largest_singular_values(
    layers: list[_Layer], known: list[Tensor | None], seed: int, settled: bool
) -> tuple[Tensor, Tensor]:
    """The operator norms [G], and vectors [G, n] to start from next time."""
    weight = torch.stack([layer.conv.weight for layer in layers])
    scale = weight.abs().amax(dim=(1, 2, 3, 4), keepdim=True)
    scale = scale.where(scale != 0, 1)  # tiny kernels do not underflow when they are squared
    weight = weight / scale
    norms, ended = largest_singular_values(
        lambda left: _gram_operator(layers[0], weight[left]), _start_vectors(layers, known, seed),
        PRODUCTS, (FIRST_PRODUCTS,) if settled else (),
    )  # fmt: skip
    return norms * scale.flatten(), ended


def _start_vectors(layers: list[_Layer], known: list[Tensor | None], seed: int) -> Tensor:
    """Start vectors [G, n]: the known ones, each with a random part; random ones for the others.

    Without that part a vector of a layer whose filters were dead would have nothing of these
    filters, and no product would bring it in.
    """
    size = layers[0].conv.in_channels * prod(layers[0].image_size)
    drawn = torch.randn(size, generator=generator(seed, 0, f"singular vectors of {size} numbers"))
    fresh = F.normalize(drawn, dim=0).to(layers[0].conv.weight.device)
    return torch.stack([fresh if v is None else v + FRESH * fresh for v in known])


def _gram_operator(layer: _Layer, weight: Tensor) -> Callable[[Tensor], Tensor]:
    """v -> W^T W v on vectors [G, n] of flattened images, for layers of one shape.

    `weight` [G, out, in, height, width] are theirs; `layer` is any of them.
    """
    conv, count = layer.conv, len(weight)
    weight = weight.flatten(0, 1)
    kernel, stride, padding = layer.geometry
    sizes = zip(layer.image_size, layer.output_size, strict=True)
    # rows and columns that the stride never reaches: the transpose has to give them back
    unreached = [size - ((out - 1) * stride - 2 * padding + kernel) for size, out in sizes]

    def apply(v: Tensor) -> Tensor:
        images = v.reshape(1, count * conv.in_channels, *layer.image_size)
        u = F.conv2d(images, weight, None, stride, padding, groups=count)
        v = F.conv_transpose2d(u, weight, None, stride, padding, unreached, groups=count)
        return v.reshape(count, -1)

    return apply


@torch.no_grad()
def _normalization_constants(network: GrowableNetwork) -> list[float]:
    constants = []
    for block in chain.from_iterable(network.blocks):
        for _, bn in block.layers():
            assert bn.running_var is not None
            constants.append((bn.weight.abs() / (bn.running_var + bn.eps).sqrt()).max())
    return torch.stack(constants).tolist()
