"""Lipschitz constants of residual blocks (LipGrow, section 4.3).

Vectors of G layers of one shape are [G, n], n = channels_in * height * width of their input.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from math import prod
from statistics import fmean

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from growsearch.networks import Basic3ResNet
from growsearch.randomness import generator

# within 0.5 % of the dense singular value on real runs, see tests/test_lipschitz.py
COLD_PRODUCTS = 30
WARM_PRODUCTS = 12


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
        (stride, padding, kernel), (height, width) = self.geometry, self.image_size
        return (
            (height + 2 * padding - kernel) // stride + 1,
            (width + 2 * padding - kernel) // stride + 1,
        )

    @property
    def geometry(self) -> tuple[int, int, int]:
        """Stride, padding and kernel size, the same in both directions."""
        return self.conv.stride[0], int(self.conv.padding[0]), self.conv.kernel_size[0]


def block_constants(
    network: Basic3ResNet, image_size: tuple[int, int], vectors: dict[str, Tensor], seed: int = 0
) -> list[float]:
    """The Lipschitz constant of each block's residual branch, first block first.

    It is the product over the branch's layers: the operator norm of a convolution, from power
    iterates; max |gamma| / sqrt(running variance + eps) of a batch normalization; 1 of a ReLU.
    `image_size` is height and width of the network's input. `vectors` holds each convolution's
    singular vector by its name, starts the iteration where there is one, and is brought up to
    date. New vectors come from `seed`; no other random state is touched.
    """
    layers = _convolutions(network, image_size)
    norms = _operator_norms(layers, vectors, seed)
    names = iter(layers)
    return [
        prod(norms[next(names)] * _normalization_constant(bn) for _, bn in block.scaled_parts())
        for block in chain.from_iterable(network.blocks)
    ]


def lipschitz_constant(
    network: Basic3ResNet, image_size: tuple[int, int], vectors: dict[str, Tensor], seed: int = 0
) -> float:
    """The mean of `block_constants` over all blocks of all sub-networks."""
    return fmean(block_constants(network, image_size, vectors, seed))


def _convolutions(network: Basic3ResNet, image_size: tuple[int, int]) -> dict[str, _Layer]:
    """The blocks' convolutions by name, in the order that an image passes them."""
    names = {module: name for name, module in network.named_modules()}
    layers = {}
    for block in chain.from_iterable(network.blocks):
        for conv, _ in block.scaled_parts():
            layers[names[conv]] = layer = _Layer(conv, image_size)
            image_size = layer.output_size
    return layers


@torch.no_grad()
def _operator_norms(
    layers: dict[str, _Layer], vectors: dict[str, Tensor], seed: int
) -> dict[str, float]:
    groups = defaultdict(list)
    for name, layer in layers.items():
        groups[layer.shape].append(name)
    norms: dict[str, float] = {}
    for group in groups.values():
        known = all(name in vectors for name in group)
        start = torch.stack([_start_vector(layers[n], vectors.get(n), n, seed) for n in group])
        found, ended = _largest_singular_values(
            [layers[name] for name in group], start, WARM_PRODUCTS if known else COLD_PRODUCTS
        )
        norms.update(zip(group, found.tolist(), strict=True))
        vectors.update(zip(group, ended.unbind(), strict=True))
    return norms


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
    basis, images = [F.normalize(start, dim=1)], []
    while True:
        images.append(apply(basis[-1]))
        if len(images) == products:
            break
        spanned = torch.stack(basis, dim=1)
        rest = images[-1]
        for _ in range(2):  # once is not enough in single precision
            rest = rest - (spanned.mT @ (spanned @ rest[:, :, None])).squeeze(2)
        basis.append(F.normalize(rest, dim=1))
    spanned = torch.stack(basis, dim=1)
    projected = (spanned @ torch.stack(images, dim=2)).double()
    finite = projected.isfinite().all(dim=(1, 2))
    values, vectors = torch.linalg.eigh(projected.nan_to_num(0, 0, 0))
    # the second vector goes along: training may make it the first by the next call
    v = (vectors[:, :, -2:].sum(dim=2)[:, None].to(spanned.dtype) @ spanned).squeeze(1)
    norms = values[:, -1].clamp(min=0).sqrt()
    return norms.where(finite, torch.nan), F.normalize(v, dim=1)


def _gram_operator(layers: list[_Layer]) -> Callable[[Tensor], Tensor]:
    """v -> W^T W v for each of the layers, on vectors [G, n] of flattened images."""
    conv, count = layers[0].conv, len(layers)
    weight = torch.cat([layer.conv.weight for layer in layers]).contiguous()
    stride, padding, kernel = layers[0].geometry
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
def _normalization_constant(bn: nn.BatchNorm2d) -> float:
    assert bn.running_var is not None
    return float((bn.weight.abs() / (bn.running_var + bn.eps).sqrt()).max())
