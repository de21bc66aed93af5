"""With which weights a grown network goes on."""

import torch

from growsearch.architecture import Architecture
from growsearch.errors import InputError
from growsearch.networks import Basic3ResNet, BasicBlock


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


def cloned_prefixes(old: Architecture, grown: Architecture) -> dict[str, str]:
    """For each block of the grown network, by its name, the name of the block it is cloned from."""
    return {
        f"subnetworks.{i}.{j}.": f"subnetworks.{i}.{source}."
        for i, (n, n_grown) in enumerate(zip(old.blocks, grown.blocks, strict=True))
        for j, source in enumerate(clone_sources(n, n_grown))
    }


def source_name(name: str, prefixes: dict[str, str]) -> str:
    """The name in the old network of what `name` is in the grown one."""
    for prefix, source in prefixes.items():
        if name.startswith(prefix):
            return source + name.removeprefix(prefix)
    return name


@torch.no_grad()
def clone(old: Basic3ResNet, grown: Basic3ResNet) -> None:
    """Give `grown` the function of `old` with step size N/N+: every block, residual times N/N+.

    Whole blocks are copied, then scaled; stem, shortcuts and classifier are copied as they are.
    `grown` must have been built as grown from the architecture that `old` has grown from.
    """
    prefixes = cloned_prefixes(old.architecture, grown.architecture)
    weights = old.state_dict()
    for name, tensor in grown.state_dict().items():
        tensor.copy_(weights[source_name(name, prefixes)])
    depths = zip(old.architecture.blocks, grown.architecture.blocks, strict=True)
    for (n, n_grown), blocks in zip(depths, grown.blocks, strict=True):
        for block in blocks:
            scale_residual(block, n / n_grown)


def scale_residual(block: BasicBlock, step: float) -> None:
    """Scale the weights and biases of a block's convs and bns by `step` (LipGrow, section 4.1).

    In training mode each bn undoes the scale of the conv before it, so the residual is `step`
    times the old one. Evaluation mode follows only if the running statistics are brought to the
    same scale, which is what the inputs of the k-th bn now have: step ** k. (So is its eps, see
    BasicBlock.)
    """
    incoming = step
    for conv, bn in block.scaled_parts():
        assert bn.running_mean is not None and bn.running_var is not None
        conv.weight.mul_(step)
        bn.running_mean.mul_(incoming)
        bn.running_var.mul_(incoming**2)
        bn.weight.mul_(step)
        bn.bias.mul_(step)
        incoming *= step
