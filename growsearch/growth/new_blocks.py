"""What initializers with new blocks share: where these go, and which normalization they change."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from growsearch.trial.config import TrialConfig
from growsearch.trial.kinds import Initializer
from growsearch.trial.options import option

if TYPE_CHECKING:
    from torch import Tensor, nn


def kept_sources(blocks: int, grown_blocks: int, placement: str) -> dict[int, int]:
    """Which old block stands at a position of a sub-network that grows by new blocks.

    With placement "end" old blocks stay where they are (AutoGrow, algorithm 1). With "between"
    old block j goes to position ceil(j * grown_blocks / blocks), so doubling puts a new block
    behind each: {0: 0, 2: 1, 4: 2}. The other positions are new.
    """
    if placement == "end":
        return {j: j for j in range(blocks)}
    return {-(-j * grown_blocks // blocks): j for j in range(blocks)}


@dataclass(frozen=True, kw_only=True)
class NewBlocks(Initializer):
    """An initializer that adds new blocks to the old ones."""

    placement: str | None = option(
        None, "where new blocks go: one behind each old one as far as they reach, or all at the "
        "end of the sub-network", choices=("between", "end"),
        default_help="between; AutoGrow: end",
    )  # fmt: skip

    def sources(self, blocks: int, grown_blocks: int) -> Mapping[int, int]:
        assert self.placement is not None
        return kept_sources(blocks, grown_blocks, self.placement)


@dataclass(frozen=True, kw_only=True)
class LastNormalization(NewBlocks):
    """An initializer that changes the last batch normalization of new residuals."""

    def notes(self, trial: TrialConfig) -> list[str]:
        if trial.network.residual:
            return []
        return [
            f"initializer {self.name!r} treats the last batch normalization of a residual, and "
            f"{trial.network.name} has no residuals: new sub-modules get the default initialization"
        ]


def scale_and_shift(block: "nn.Module") -> "Iterator[Tensor]":
    """Those of the last batch normalization of the block's residual; none if it has no residual."""
    from growsearch.tasks.images.blocks import ResidualBlock

    if isinstance(block, ResidualBlock):
        yield from (block.last_normalization.weight, block.last_normalization.bias)
