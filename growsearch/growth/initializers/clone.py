"""The clone operator (LipGrow, sections 3.2 and 4.1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from growsearch.trial.architecture import Architecture
from growsearch.trial.components import register
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.kinds import Initializer
from growsearch.trial.options import option

if TYPE_CHECKING:
    from torch import nn


def clone_sources(blocks: int, grown_blocks: int) -> list[int]:
    """Which of a sub-network's blocks each block of the grown sub-network is cloned from.

    Block i stands at time i / grown_blocks and takes the nearest old block, the earlier of two
    (LipGrow, section 4.1). The first block may downsample: it is cloned to its counterpart alone,
    and the block behind it stands in for it elsewhere. Doubling 3 gives [0, 1, 1, 1, 2, 2].

    Raises InputError where the first block is the only one.
    """
    if blocks == 1 and grown_blocks > 1:
        raise InputError(
            "a sub-network of 1 block cannot grow by cloning: its first block is never cloned; "
            "start from at least 2 blocks"
        )
    # ceil(i * blocks / grown_blocks - 1/2) in whole numbers
    n, n_grown = blocks, grown_blocks
    nearest = [-((n_grown - 2 * i * n) // (2 * n_grown)) for i in range(n_grown)]
    return [min(max(source, min(i, 1)), n - 1) for i, source in enumerate(nearest)]


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

    def completed(self, trial: TrialConfig) -> Self:
        filled = super().completed(trial)
        if filled.scaling == "step-size" and not trial.task.explicit_steps:
            raise InputError(
                f"scaling 'step-size' needs blocks that {trial.task.label} builds with a factor; "
                "choose scaling 'paper'"
            )
        blocks = Architecture(trial.architecture).blocks
        if min(blocks) < 2:
            smallest = Architecture(max(n, 2) for n in blocks)
            raise InputError(
                f"architecture {trial.architecture!r} cannot grow by cloning: the first block of a "
                f"sub-network is never cloned, so each needs a second; start from {smallest}, or "
                "choose another initializer or policy 'none'"
            )
        return filled

    def sources(self, blocks: int, grown_blocks: int) -> Mapping[int, int]:
        return dict(enumerate(clone_sources(blocks, grown_blocks)))

    def initialize(self, block: "nn.Module", *, new: bool, step: float, draw: Any) -> None:
        residual: Any = block
        if self.scaling == "paper":
            residual.scale_residual(step)
        elif self.scaling == "paper-literal":
            residual.scale_residual(step, statistics=False)

    def step_sizes(self, step: float) -> tuple[float, float]:
        implicit = step if self.scaling == "paper" else 1.0
        return implicit, step if self.scaling == "step-size" else 1.0
