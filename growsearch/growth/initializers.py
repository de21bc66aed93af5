"""With which weights a grown network goes on."""

from collections.abc import Callable, Mapping
from math import sqrt

import torch
from torch import Tensor, nn

from growsearch.machine.randomness import derived_seed
from growsearch.tasks.images.blocks import ResidualBlock
from growsearch.tasks.images.families import GrowableNetwork
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError

Sources = dict[tuple[int, int], int | None]
"""For each block (i, j) of the grown network, the old block of sub-network i that it inherits
from, None for a block that is new."""


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


def kept_sources(blocks: int, grown_blocks: int, placement: str) -> dict[int, int]:
    """Which old block stands at a position of a sub-network that grows by new blocks.

    With placement "end" old blocks stay where they are (AutoGrow, algorithm 1). With "between"
    old block j goes to position ceil(j * grown_blocks / blocks), so doubling puts a new block
    behind each: {0: 0, 2: 1, 4: 2}. The other positions are new.
    """
    if placement == "end":
        return {j: j for j in range(blocks)}
    return {-(-j * grown_blocks // blocks): j for j in range(blocks)}


def block_sources(old: Architecture, grown: Architecture, config: TrialConfig) -> Sources:
    """Where each block of the grown network comes from, as the configuration says."""
    sources: Sources = {}
    for i, (n, n_grown) in enumerate(zip(old.blocks, grown.blocks, strict=True)):
        if config.initializer == "clone":
            found: Mapping[int, int] = dict(enumerate(clone_sources(n, n_grown)))
        else:
            assert config.placement is not None
            found = kept_sources(n, n_grown, config.placement)
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
    """Give `grown`, as it was built after `epoch` epochs, the weights that it goes on with.

    Stem, head and classifier are inherited, and whole blocks with their running statistics.
    clone     (LipGrow, section 3.2) every block is a copy, its residual N/N+ times the old one:
              by `scaling` "paper" in weights and running statistics, "paper-literal" in the
              weights alone, "step-size" by the explicit step size that `grown` was built with;
    default   new blocks stay as they were built (Wen et al. 2019).
    The others change the residual's last batch normalization in new blocks (AutoGrow, section 2.2),
    in plain networks nothing:
    zero      scale and shift are zero, so that the function is kept where a block's input passes
              its last ReLU unchanged, which it does;
    uniform   both drawn from U(-sqrt(3), sqrt(3)), whose deviation is 1; uniform-official, from
              U(0, 1), as AutoGrow's program does;
    gaussian  both drawn from N(0, 1);
    adam      stays as built; the trainer trains it alone at first.
    partial   like default; the trainer trains the new blocks alone at first (Istrate et al. 2018).
    """
    sources = block_sources(old.architecture, grown.architecture, config)
    weights = old.state_dict()
    for name, tensor in grown.state_dict().items():
        inherited = inherited_name(name, sources)
        if inherited is not None:
            tensor.copy_(weights[inherited])
    draw = torch.Generator().manual_seed(derived_seed(config.seed, epoch, "new normalizations"))
    blocks = grown.blocks
    for (i, j), source in sources.items():
        block = blocks[i][j]
        if not isinstance(block, ResidualBlock):
            continue
        if config.initializer == "clone" and config.scaling in ("paper", "paper-literal"):
            step = old.architecture.blocks[i] / grown.architecture.blocks[i]
            block.scale_residual(step, statistics=config.scaling == "paper")
        elif source is None and config.initializer == "zero":
            block.silence_residual()
        elif source is None and config.initializer in _DRAWS:
            for tensor in (block.last_normalization.weight, block.last_normalization.bias):
                tensor.copy_(_DRAWS[config.initializer](torch.empty(tensor.shape), draw))


_DRAWS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "uniform": lambda t, draw: t.uniform_(-sqrt(3), sqrt(3), generator=draw),
    "uniform-official": lambda t, draw: t.uniform_(0, 1, generator=draw),
    "gaussian": lambda t, draw: t.normal_(0, 1, generator=draw),
}


def new_blocks(old: Architecture, grown: GrowableNetwork, config: TrialConfig) -> list[nn.Module]:
    """The blocks that growth has made anew."""
    sources = block_sources(old, grown.architecture, config)
    blocks = grown.blocks
    return [blocks[i][j] for (i, j), source in sources.items() if source is None]
