"""Partial training of new blocks (Istrate et al. 2018)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from growsearch.growth.new_blocks import NewBlocks
from growsearch.trial.components import register
from growsearch.trial.config import TrialConfig

if TYPE_CHECKING:
    from torch import nn


@register("initializer", "partial", source="Istrate et al. 2018, arXiv:1803.10232")
@dataclass(frozen=True, kw_only=True)
class Partial(NewBlocks):
    """New blocks, trained alone for an epoch."""

    apart_known = True

    def is_apart(self, trial: TrialConfig) -> bool:
        return True

    def apart_parameters(self, block: "nn.Module") -> "Iterable[nn.Parameter]":
        return block.parameters()
