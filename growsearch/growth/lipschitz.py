"""Lipschitz constants of residual blocks (LipGrow, section 4.3).

Vectors of G layers of one shape are [G, n], n = channels_in * height * width of their input.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from math import prod
from statistics import fmean
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from growsearch.machine.randomness import generator
from growsearch.tasks.images.networks import GrowableNetwork

# within 1 % of the true norms at every epoch of real runs: tests/test_lipschitz.py
COLD_PRODUCTS = 30
WARM_PRODUCTS = 12


@dataclass(frozen=True)
class LipschitzConstants:
    """One constant for each layer of each block of each sub-network, first ones first."""

    by_layer: list[list[list[float]]]

    @property
    def layers(self) -> tuple[float, ...]:
        return tuple(c for blocks in self.by_layer for block in blocks for c in block)

    @property
    def blocks(self) -> tuple[float, ...]:
        """A block's is the product of its layers'."""
        return tuple(prod(block) for blocks in self.by_layer for block in blocks)

    @property
    def subnetworks(self) -> tuple[float, ...]:
        """A sub-network's is the mean of its blocks'."""
        return tuple(fmean(map(prod, blocks)) for blocks in self.by_layer)

    @property
    def mean(self) -> float:
        """The network's: the mean over all blocks of all sub-networks."""
        return fmean(self.blocks)


def lipschitz_constants(
    network: GrowableNetwork, image_size: tuple[int, int], vectors: dict[str, Tensor],
    seed: int = 0, settled: bool = False,
) -> LipschitzConstants:  # fmt: skip
    """The Lipschitz constants of the blocks' layers: conv1, bn1, conv2, bn2, ... for each block.

    Shortcuts are left out. A convolution's is its operator norm on images of the size that it
    sees, from power iterates, the last one's times the block's explicit step size; a batch
    normalization's is max |gamma| / sqrt(running variance + eps); a ReLU's is 1. `image_size` is
    height and width of the network's input. `vectors` holds each convolution's singular vector by
    its name, starts the iteration where there is one, and is brought up to date; `settled` says
    that all of them are those of the epoch before, so that few iterations will do. New vectors
    come from `seed`; no other random state is touched.
    """
    convolutions = _convolutions(network, image_size)
    products = WARM_PRODUCTS if settled else COLD_PRODUCTS
    norms = iter(_operator_norms(convolutions, vectors, seed, products).values())
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
    layers: dict[str, _Layer], vectors: dict[str, Tensor], seed: int, products: int
) -> dict[str, float]:
    groups = defaultdict(list)
    for name, layer in layers.items():
        groups[layer.shape].append(name)
    norms = []
    for group in groups.values():
        start = torch.stack([_start_vector(layers[n], vectors.get(n), n, seed) for n in group])
        found, ended = _largest_singular_values([layers[n] for n in group], start, products)
        norms.append(found)
        vectors.update(zip(group, ended.unbind(), strict=True))
    found_of = dict(zip(chain(*groups.values()), torch.cat(norms).tolist(), strict=True))
    return {name: found_of[name] for name in layers}


def _start_vector(layer: _Layer, known: Tensor | None, name: str, seed: int) -> Tensor:
    if known is not None:
        return known
    size = layer.conv.in_channels * prod(layer.image_size)
    drawn = torch.randn(size, generator=generator(seed, 0, f"singular vector of {name}"))
    return drawn.to(layer.conv.weight.device)


def _largest_singular_values(
    layers: list[_Layer], start: Tensor, products: int
) -> tuple[Tensor, Tensor]:
    """The operator norms [G], and vectors [G, n] to start from next time.

    Power iteration, v <- W^T W v, would keep the last of its iterates. All of them together cost
    little more and hold a far better estimate: the largest Ritz value of their span (Lanczos).
    """
    apply = _gram_operator(layers)
    basis = start.new_empty(len(layers), products, start.shape[1])
    images = torch.empty_like(basis)
    rest = start
    for k in range(products):
        basis[:, k] = F.normalize(rest, dim=1)
        images[:, k] = rest = apply(basis[:, k])
        if k + 1 < products:
            known = basis[:, : k + 1]
            rest = rest - (known.mT @ (known @ rest[:, :, None])).squeeze(2)
    projected = (basis @ images.mT).double()
    finite = projected.isfinite().all(dim=(1, 2))
    values, vectors = torch.linalg.eigh(projected.nan_to_num(0, 0, 0))
    # the second vector goes along: training may make it the first by the next call
    v = (vectors[:, :, -2:].sum(dim=2)[:, None].to(basis.dtype) @ basis).squeeze(1)
    norms = values[:, -1].clamp(min=0).sqrt()
    return norms.where(finite, torch.nan), F.normalize(v, dim=1)


def _gram_operator(layers: list[_Layer]) -> Callable[[Tensor], Tensor]:
    """v -> W^T W v for each of the layers, on vectors [G, n] of flattened images."""
    conv, count = layers[0].conv, len(layers)
    weight = torch.cat([layer.conv.weight for layer in layers]).contiguous()
    kernel, stride, padding = layers[0].geometry
    sizes = zip(layers[0].image_size, layers[0].output_size, strict=True)
    # rows and columns that the stride never reaches: the transpose has to give them back
    unreached = [size - ((out - 1) * stride - 2 * padding + kernel) for size, out in sizes]

    def apply(v: Tensor) -> Tensor:
        images = v.reshape(1, count * conv.in_channels, *layers[0].image_size)
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
