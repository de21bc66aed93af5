"""New blocks as the network was built with them."""

from dataclasses import dataclass

from growsearch.growth.new_blocks import NewBlocks
from growsearch.trial.components import register


@register("initializer", "default", source="Wen et al. 2019, as LipGrow, section 3.2, cites it")
@dataclass(frozen=True, kw_only=True)
class Default(NewBlocks):
    """New blocks, initialized like those of a new network."""
