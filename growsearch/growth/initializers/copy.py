"""New blocks that are copies of their neighbours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from growsearch.growth.new_blocks import NewBlocks
from growsearch.trial.architecture import Architecture
from growsearch.trial.components import register
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.options import option


@register("initializer", "copy", source="Gong et al. 2019 (StackBERT)")
@dataclass(frozen=True, kw_only=True)
class Copy(NewBlocks):
    """New blocks with the weights of the old block before them, or after them at the start."""

    state_of_copies: str = option(
        "reset", "what optimizer state new blocks have where momentum_on_growth is carry: none, "
        "that of the block that they copy, or that with its first moments halved",
        choices=("reset", "copy", "halve"), keyed_at_default=False,
    )  # fmt: skip

    def completed(self, trial: TrialConfig) -> Self:
        filled = super().completed(trial)
        for blocks in Architecture(trial.architecture).blocks:  # each may grow
            filled.copies(blocks, blocks + 1, trial.task.blocks_alike)
        return filled

    def copies(self, blocks: int, grown_blocks: int, alike: bool) -> Mapping[int, int]:
        kept = self.sources(blocks, grown_blocks)
        if blocks == 0 and grown_blocks > 0:
            raise InputError(
                "a sub-network of 0 blocks cannot grow by copies: there is no block to copy; start "
                "from at least 1, or choose initializer 'default' or 'zero'"
            )
        if not alike and blocks == 1 and grown_blocks > 1:
            raise InputError(
                "a sub-network of 1 block cannot grow by copies: its first block may change the "
                "shape and is never copied; start from at least 2 blocks"
            )
        found = {}
        for j in range(grown_blocks):
            if j not in kept:
                before = [source for k, source in kept.items() if k < j]
                source = max(before) if before else 0
                found[j] = source if alike else max(source, 1)
        return found
