"""With which weights a grown network goes on."""

from collections.abc import Mapping

import torch

from growsearch.architecture import Architecture
from growsearch.errors import InputError
from growsearch.networks import ResidualNetwork


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


def kept_sources(blocks: int, grown_blocks: int) -> dict[int, int]:
    """Which old block stands at a position of a sub-network that grows by new blocks.

    Old block j goes to position ceil(j * grown_blocks / blocks), so doubling puts a new block
    behind each: {0: 0, 2: 1, 4: 2}. The other positions are new.
    """
    return {-(-j * grown_blocks // blocks): j for j in range(blocks)}


def block_sources(
    old: Architecture, grown: Architecture, initializer: str
) -> dict[tuple[int, int], int | None]:
    """For each block (i, j) of the grown network, the old block of sub-network i that it inherits
    from, None for a block that is new.
    """
    sources: dict[tuple[int, int], int | None] = {}
    for i, (n, n_grown) in enumerate(zip(old.blocks, grown.blocks, strict=True)):
        if initializer == "clone":
            found: Mapping[int, int] = dict(enumerate(clone_sources(n, n_grown)))
        else:
            found = kept_sources(n, n_grown)
        sources |= {(i, j): found.get(j) for j in range(n_grown)}
    return sources


def inherited_name(name: str, sources: dict[tuple[int, int], int | None]) -> str | None:
    """What `name` in the grown network was called in the old one; None if it is new."""
    if not name.startswith("subnetworks."):
        return name
    _, i, j, rest = name.split(".", maxsplit=3)
    source = sources[int(i), int(j)]
    return None if source is None else f"subnetworks.{i}.{source}.{rest}"


@torch.no_grad()
def initialize(
    old: ResidualNetwork, grown: ResidualNetwork, initializer: str, scaling: str | None
) -> None:
    """Give `grown`, as it was built, the weights that it goes on with.

    Stem, head and classifier are inherited, and whole blocks with their running statistics:
    clone   (LipGrow, section 3.2) every block is a copy, its residual N/N+ times the old one:
            by `scaling` "paper" in weights and running statistics, "paper-literal" in the weights
            alone, "step-size" by the explicit step size that `grown` was built with;
    random  new blocks stay as they were built (Wen et al. 2019);
    zero    new blocks start with a residual of zero, so that the function is kept where a block's
            input passes its last ReLU unchanged, which it does (Chen et al. 2016);
    partial like random; the trainer trains the new blocks alone at first (Istrate et al. 2018).
    """
    sources = block_sources(old.architecture, grown.architecture, initializer)
    weights = old.state_dict()
    for name, tensor in grown.state_dict().items():
        inherited = inherited_name(name, sources)
        if inherited is not None:
            tensor.copy_(weights[inherited])
    blocks = grown.blocks
    for (i, j), source in sources.items():
        block = blocks[i][j]
        if initializer == "clone" and scaling in ("paper", "paper-literal"):
            step = old.architecture.blocks[i] / grown.architecture.blocks[i]
            block.scale_residual(step, statistics=scaling == "paper")
        elif initializer == "zero" and source is None:
            block.silence_residual()


def new_parameters(old: Architecture, grown: ResidualNetwork, initializer: str) -> set[str]:
    """Names of the parameters that growth has made anew."""
    sources = block_sources(old, grown.architecture, initializer)
    return {name for name, _ in grown.named_parameters() if inherited_name(name, sources) is None}
