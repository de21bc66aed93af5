"""The quantities of LipGrow's theory of growth (section 3.3), measured on held-out images.

Distances of feature maps are Euclidean, as the Lipschitz constants are. The theory sees a
sub-network as an ODE over unit time: N blocks with step size h = 1/N and functions f = residual/h.
"""

from math import exp, inf, prod

import torch
from torch import Tensor

from growsearch.growth.constants import LipschitzConstants
from growsearch.growth.initializers.clone import clone_sources
from growsearch.growth.theory import GrowthMeasures
from growsearch.machine.compiling import uncompiled
from growsearch.tasks.images.blocks import Block, ResidualBlock
from growsearch.tasks.images.networks import GrowableNetwork


@uncompiled()
@torch.no_grad()
def measure_growth(
    old: GrowableNetwork, grown: GrowableNetwork, constants: LipschitzConstants, images: Tensor
) -> GrowthMeasures:
    """Compares both networks on `images`, [n, channels, height, width], in evaluation mode.

    `constants` are the Lipschitz constants of `old`.
    """
    old.eval()
    grown.eval()
    measured = []
    x = old.stem(images)
    blocks = zip(old.blocks, grown.blocks, constants.by_layer, strict=True)
    for old_blocks, grown_blocks, by_layer in blocks:
        inputs, y = [], x
        for block in old_blocks:
            inputs.append(y)
            y = block(y)
        z = x
        for block in grown_blocks:
            z = block(z)
        error = float(_norms(z - y).mean())
        difference, largest = _differences(old_blocks, grown_blocks, inputs)
        measured.append((error, difference, _bound(by_layer, difference, largest)))
        x = y
    errors, differences, bounds = zip(*measured, strict=True)
    return GrowthMeasures(errors, differences, bounds)


def _differences(
    old: list[Block], grown: list[Block], inputs: list[Tensor]
) -> tuple[float | None, float]:
    """C(N, N+), and M, the largest norm of a grown block's f; (None, 0) where C is undefined."""
    n, n_grown = len(old), len(grown)
    if n == 1 < n_grown:
        return None, 0.0
    difference = largest = 0.0
    for block, source in zip(grown, clone_sources(n, n_grown), strict=True):
        old_block = old[source]
        if not (isinstance(block, ResidualBlock) and isinstance(old_block, ResidualBlock)):
            return None, 0.0
        f_grown = n_grown * block.added(inputs[source])
        f_old = n * old_block.added(inputs[source])
        difference = max(difference, float(_norms(f_grown - f_old).max()))
        largest = max(largest, float(_norms(f_grown).max()))
    return difference, largest


def _bound(by_layer: list[list[float]], difference: float | None, largest: float) -> float | None:
    """(exp(L) - 1) / L * (C + M L h / 4); infinity if that exceeds floating point."""
    if difference is None:
        return None
    h = 1 / len(by_layer)
    lipschitz = max(map(prod, by_layer)) / h
    gronwall = (exp(lipschitz) - 1) / lipschitz if lipschitz < 700 else inf
    return gronwall * (difference + 0.25 * largest * lipschitz * h)


def _norms(x: Tensor) -> Tensor:
    """The norm of each image's features, [n]."""
    return x.flatten(1).norm(dim=1)
