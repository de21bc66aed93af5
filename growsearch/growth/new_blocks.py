"""What initializers with new blocks share: where these go, and which normalization they change."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from growsearch.trial.config import TrialConfig
from growsearch.trial.kinds import Initializer
from growsearch.trial.options import option

if TYPE_CHECKING:
    from torch import Tensor, nn


def kept_sources(blocks: int, grown_blocks: int, placement: str) -> dict[int, int]:
    """Which old block stands at a position of a sub-network that grows by new blocks.

    With placement "end" old blocks stay where they are (AutoGrow, algorithm 1). With "between"
    old block j goes to position ceil(j * grown_blocks / blocks), so doubling puts a new block
    behind each: {0: 0, 2: 1, 4: 2}. With "middle" the first half of the old blocks, the larger one,
    stays and the other ends the sub-network; with "start" the first block alone stays. The other
    positions are new.
    """
    if placement == "end":
        return {j: j for j in range(blocks)}
    if placement in ("start", "middle"):
        stay = 1 if placement == "start" else -(-blocks // 2)
        return {j if j < stay else j + grown_blocks - blocks: j for j in range(blocks)}
    return {-(-j * grown_blocks // blocks): j for j in range(blocks)}


@dataclass(frozen=True, kw_only=True)
class NewBlocks(Initializer):
    """An initializer that adds new blocks to the old ones."""

    placement: str | None = option(
        None, "where new blocks go: one behind each old one as far as they reach, or all together "
        "at the end, in the middle, or at the start behind the first block",
        choices=("between", "end", "middle", "start"),
        default_help="between; AutoGrow: end",
    )  # fmt: skip

    def sources(self, blocks: int, grown_blocks: int) -> Mapping[int, int]:
        assert self.placement is not None
        return kept_sources(blocks, grown_blocks, self.placement)


@dataclass(frozen=True, kw_only=True)
class LastNormalization(NewBlocks):
    """An initializer that changes the last batch normalization of new residuals."""

    changes_residual = True
    block_methods = ("last_normalization",)

    def notes(self, trial: TrialConfig) -> list[str]:
        if trial.task.residual:
            return []
        return [
            f"initializer {self.name!r} treats the last batch normalization of a residual, and "
            f"{trial.task.label} has no residuals: new sub-modules get the default initialization"
        ]


def scale_and_shift(block: "nn.Module") -> "Iterator[Tensor]":
    """The scale and shift of the last normalization of the block's residual, as far as it has them.

    There are none in a block without a residual.
    """
    normalization: Any = getattr(block, "last_normalization", None)
    for name in ("weight", "bias"):
        if (tensor := getattr(normalization, name, None)) is not None:
            yield tensor
