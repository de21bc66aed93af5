"""How a grown network gets its weights: what it inherits, and what its initializer changes."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from growsearch.machine.randomness import derived_seed
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig

Place = tuple[int, int]
"""(i, j): block j of stack i."""


@dataclass(frozen=True)
class Sources:
    """Where the weights of a grown network come from, by its blocks."""

    stacks: tuple[str, ...]
    """Names of the lists of blocks."""
    kept: Mapping[Place, int | None]
    """The old block of the same stack that a block continues; None for a new block."""
    copied: Mapping[Place, int]
    """The old block whose weights a new block copies, if it copies any."""

    def name(self, name: str, *, copies: bool = False) -> str | None:
        """What the tensor `name` of the grown network was called in the old one.

        None if it is new. With `copies`, tensors of new blocks that copy have a name as well.
        """
        for i, stack in enumerate(self.stacks):
            if name.startswith(f"{stack}."):
                j, _, rest = name.removeprefix(f"{stack}.").partition(".")
                source = self.kept[i, int(j)]
                if source is None and copies:
                    source = self.copied.get((i, int(j)))
                return None if source is None else f"{stack}.{source}.{rest}"
        return name


def block_sources(old: Architecture, grown: Architecture, config: TrialConfig) -> Sources:
    """Where each block of the grown network comes from, as the trial's initializer says."""
    assert config.initializer is not None
    kept: dict[Place, int | None] = {}
    copied: dict[Place, int] = {}
    for i, (n, n_grown) in enumerate(zip(old.blocks, grown.blocks, strict=True)):
        found = config.initializer.sources(n, n_grown)
        kept |= {(i, j): found.get(j) for j in range(n_grown)}
        copies = config.initializer.copies(n, n_grown, config.task.blocks_alike)
        copied |= {(i, j): source for j, source in copies.items()}
    return Sources(config.task.stacks, kept, copied)


@torch.no_grad()
def initialize(
    old: nn.Module, grown: nn.Module, sources: Sources, before: Architecture,
    config: TrialConfig, epoch: int,
) -> None:  # fmt: skip
    """Give `grown`, as it was built after `epoch` epochs, its weights.

    Whatever is outside of blocks, and the blocks that have a source, are copied, buffers included.
    Then the trial's initializer changes the blocks. Its random draws come from the trial's seed
    and `epoch`. `before` is the architecture of `old`.
    """
    assert config.initializer is not None
    weights = old.state_dict()
    for name, tensor in grown.state_dict().items():
        inherited = sources.name(name, copies=True)
        if inherited is not None:
            tensor.copy_(weights[inherited])
    draw = torch.Generator().manual_seed(derived_seed(config.seed, epoch, "new normalizations"))
    blocks = config.task.blocks(grown)
    for (i, j), source in sources.kept.items():
        step = before.blocks[i] / len(blocks[i])
        config.initializer.initialize(blocks[i][j], new=source is None, step=step, draw=draw)


def new_blocks(
    old: Architecture, grown: Architecture, network: nn.Module, config: TrialConfig
) -> list[nn.Module]:
    """The blocks of the grown `network` that growth has made anew."""
    blocks = config.task.blocks(network)
    kept = block_sources(old, grown, config).kept
    return [blocks[i][j] for (i, j), source in kept.items() if source is None]
