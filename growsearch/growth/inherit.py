"""How a grown network gets its weights: what it inherits, and what its initializer changes."""

import torch
from torch import nn

from growsearch.machine.randomness import derived_seed
from growsearch.tasks.images.networks import GrowableNetwork
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig

Sources = dict[tuple[int, int], int | None]
"""For each block (i, j) of the grown network, the old block of sub-network i that it inherits
from, None for a block that is new."""


def block_sources(old: Architecture, grown: Architecture, config: TrialConfig) -> Sources:
    """Where each block of the grown network comes from, as the trial's initializer says."""
    assert config.initializer is not None
    sources: Sources = {}
    for i, (n, n_grown) in enumerate(zip(old.blocks, grown.blocks, strict=True)):
        found = config.initializer.sources(n, n_grown)
        sources |= {(i, j): found.get(j) for j in range(n_grown)}
    return sources


def inherited_name(name: str, sources: Sources) -> str | None:
    """What `name` in the grown network was called in the old one; None if it is new."""
    if not name.startswith("subnetworks."):
        return name
    _, i, j, rest = name.split(".", maxsplit=3)
    source = sources[int(i), int(j)]
    return None if source is None else f"subnetworks.{i}.{source}.{rest}"


@torch.no_grad()
def initialize(
    old: GrowableNetwork, grown: GrowableNetwork, config: TrialConfig, epoch: int
) -> None:
    """Give `grown`, as it was built after `epoch` epochs, its weights.

    Stem, head, classifier and the blocks that have a source are copied, running statistics
    included. Then the trial's initializer changes the blocks. Its random draws come from the
    trial's seed and `epoch`.
    """
    assert config.initializer is not None
    sources = block_sources(old.architecture, grown.architecture, config)
    weights = old.state_dict()
    for name, tensor in grown.state_dict().items():
        inherited = inherited_name(name, sources)
        if inherited is not None:
            tensor.copy_(weights[inherited])
    draw = torch.Generator().manual_seed(derived_seed(config.seed, epoch, "new normalizations"))
    blocks = grown.blocks
    for (i, j), source in sources.items():
        step = old.architecture.blocks[i] / grown.architecture.blocks[i]
        config.initializer.initialize(blocks[i][j], new=source is None, step=step, draw=draw)


def new_blocks(old: Architecture, grown: GrowableNetwork, config: TrialConfig) -> list[nn.Module]:
    """The blocks of `grown` that growth has made anew."""
    sources = block_sources(old, grown.architecture, config)
    blocks = grown.blocks
    return [blocks[i][j] for (i, j), source in sources.items() if source is None]
