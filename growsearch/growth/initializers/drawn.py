"""New blocks whose last normalization is drawn at random (AutoGrow, section 2.2)."""

from abc import abstractmethod
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

from growsearch.growth.new_blocks import LastNormalization, scale_and_shift
from growsearch.trial.components import register

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Drawn(LastNormalization):
    """An initializer that draws scale and shift of a new residual's last normalization."""

    @abstractmethod
    def drawn(self, empty: "Tensor", draw: "torch.Generator") -> "Tensor":
        """Fills a tensor on the CPU."""

    def initialize(self, block: "nn.Module", *, new: bool, step: float, draw: Any) -> None:
        for tensor in scale_and_shift(block) if new else ():
            tensor.copy_(self.drawn(tensor.new_empty(tensor.shape, device="cpu"), draw))


@register("initializer", "gaussian", source="AutoGrow, section 2.2")
@dataclass(frozen=True, kw_only=True)
class Gaussian(Drawn):
    """New blocks, their last normalization drawn from N(0, 1)."""

    def drawn(self, empty: "Tensor", draw: "torch.Generator") -> "Tensor":
        return empty.normal_(0, 1, generator=draw)


@register("initializer", "uniform", source="AutoGrow, section 2.2")
@dataclass(frozen=True, kw_only=True)
class Uniform(Drawn):
    """New blocks, their last normalization drawn from U(-sqrt(3), sqrt(3)), of deviation 1."""

    def drawn(self, empty: "Tensor", draw: "torch.Generator") -> "Tensor":
        return empty.uniform_(-sqrt(3), sqrt(3), generator=draw)


@register("initializer", "uniform-official", source="AutoGrow's program")
@dataclass(frozen=True, kw_only=True)
class UniformOfficial(Drawn):
    """New blocks, their last normalization drawn from U(0, 1), as AutoGrow's program does."""

    def drawn(self, empty: "Tensor", draw: "torch.Generator") -> "Tensor":
        return empty.uniform_(0, 1, generator=draw)
