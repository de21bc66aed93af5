"""Lipschitz constants of a network's blocks, however they were estimated."""

from dataclasses import dataclass
from math import prod
from statistics import fmean


@dataclass(frozen=True)
class LipschitzConstants:
    """One constant for each layer of each block of each sub-network."""

    by_layer: list[list[list[float]]]
    """`by_layer[i][j][k]` is that of layer k of block j of sub-network i."""

    @property
    def layers(self) -> tuple[float, ...]:
        return tuple(c for blocks in self.by_layer for block in blocks for c in block)

    @property
    def blocks(self) -> tuple[float, ...]:
        """A block's is the product of its layers'."""
        return tuple(prod(block) for blocks in self.by_layer for block in blocks)

    @property
    def subnetworks(self) -> tuple[float, ...]:
        """A sub-network's is the mean of its blocks'; 0 for one without blocks."""
        return tuple(fmean(map(prod, blocks)) if blocks else 0.0 for blocks in self.by_layer)

    @property
    def mean(self) -> float:
        """The network's constant: the mean over all blocks. There must be at least one."""
        return fmean(self.blocks)
