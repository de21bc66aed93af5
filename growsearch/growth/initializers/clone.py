"""The clone operator (LipGrow, sections 3.2 and 4.1)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from growsearch.trial.architecture import Architecture
from growsearch.trial.components import register
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.kinds import Initializer
from growsearch.trial.options import option

if TYPE_CHECKING:
    from torch import nn


def clone_sources(blocks: int, grown_blocks: int, alike: bool = False) -> list[int]:
    """Which of a sub-network's blocks each block of the grown sub-network is cloned from.

    Block i stands at time i / grown_blocks and takes the nearest old block, the earlier of two
    (LipGrow, section 4.1). The first block may downsample: it is cloned to its counterpart alone,
    and the block behind it stands in for it elsewhere. Doubling 3 gives [0, 1, 1, 1, 2, 2]; where
    the first block is `alike` the others it is cloned like them, which gives [0, 0, 1, 1, 2, 2].

    Raises InputError where no block may be cloned.
    """
    if blocks == 0 and grown_blocks > 0:
        raise InputError(
            "a sub-network of 0 blocks cannot grow by cloning: there is no block to clone; start "
            "from at least 1"
        )
    if blocks == 1 and grown_blocks > 1 and not alike:
        raise InputError(
            "a sub-network of 1 block cannot grow by cloning: its first block is never cloned; "
            "start from at least 2 blocks"
        )
    # ceil(i * blocks / grown_blocks - 1/2) in whole numbers
    n, n_grown = blocks, grown_blocks
    nearest = [-((n_grown - 2 * i * n) // (2 * n_grown)) for i in range(n_grown)]
    lowest = [0] * n_grown if alike else [min(i, 1) for i in range(n_grown)]
    return [min(max(pair), n - 1) for pair in zip(nearest, lowest, strict=True)]


@register("initializer", "clone", source="LipGrow, sections 3.2 and 4.1")
@dataclass(frozen=True, kw_only=True)
class Clone(Initializer):
    """Copies of neighbouring blocks, their residuals scaled by the step size N/N+."""

    needs_residual = True
    block_methods = ("scale_residual",)
    scaling: str = option(
        "paper", "where the step size N/N+ goes, into the weights and running statistics, "
        "the weights alone, or a factor of the residual",
        choices=("paper", "paper-literal", "step-size"),
    )  # fmt: skip
    first_block: str | None = option(
        None, "whether the first block of a sub-network is cloned as the others are, or only kept",
        choices=("cloned", "kept"), default_help="cloned where it has the shape of the others",
        keyed_at_default=False,
    )  # fmt: skip

    def completed(self, trial: TrialConfig) -> Self:
        filled = super().completed(trial)
        if filled.scaling == "step-size" and not trial.task.explicit_steps:
            raise InputError(
                f"scaling 'step-size' needs blocks that {trial.task.label} builds with a factor; "
                "choose scaling 'paper'"
            )
        alike = trial.task.blocks_alike
        if filled.first_block == "cloned" and not alike:
            raise InputError(
                f"first_block 'cloned' needs first blocks of the shape of the others, and those of "
                f"{trial.task.label} may change the shape; choose 'kept', or leave it out"
            )
        # None where it can only be kept, so that such trials have the store keys that they had
        first = (self.first_block or "cloned") if alike else None
        filled = replace(filled, first_block=first)
        blocks = Architecture(trial.architecture).blocks
        least = 1 if first == "cloned" else 2
        if min(blocks) < least:
            smallest = Architecture(max(n, least) for n in blocks)
            why = (
                "there is no block to clone"
                if min(blocks) == 0
                else "the first block of a sub-network is never cloned, so each needs a second"
            )
            raise InputError(
                f"architecture {trial.architecture!r} cannot grow by cloning: {why}; start from "
                f"{smallest}, or choose another initializer or policy 'none'"
            )
        return filled

    def sources(self, blocks: int, grown_blocks: int) -> Mapping[int, int]:
        alike = self.first_block == "cloned"
        return dict(enumerate(clone_sources(blocks, grown_blocks, alike)))

    def initialize(self, block: "nn.Module", *, new: bool, step: float, draw: Any) -> None:
        residual: Any = block
        if self.scaling == "paper":
            residual.scale_residual(step)
        elif self.scaling == "paper-literal":
            residual.scale_residual(step, statistics=False)

    def step_sizes(self, step: float) -> tuple[float, float]:
        implicit = step if self.scaling == "paper" else 1.0
        return implicit, step if self.scaling == "step-size" else 1.0
