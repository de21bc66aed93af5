"""How a grown network gets its weights: what it inherits, and what its initializer changes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from growsearch.growth.initializer_rules import check_places, unchanged_but_for_numbers
from growsearch.machine.randomness import derived_seed, seeded
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError

Place = tuple[int, int]
"""(i, j): block j of stack i."""


@dataclass(frozen=True)
class Sources:
    """Which old blocks the blocks of a grown network come from."""

    kept: Mapping[Place, int | None]
    """The old block of the same stack that a block continues; None for a new block."""
    copied: Mapping[Place, int]
    """The old block whose weights a new block copies, if it copies any."""


def block_sources(old: Architecture, grown: Architecture, config: TrialConfig) -> Sources:
    """Where each block of the grown network comes from, as the trial's initializer says."""
    assert config.initializer is not None
    kept: dict[Place, int | None] = {}
    copied: dict[Place, int] = {}
    for i, (n, n_grown) in enumerate(zip(old.blocks, grown.blocks, strict=True)):
        found = config.initializer.sources(n, n_grown)
        check_places("sources", found, n, n_grown, config.initializer)
        kept |= {(i, j): found.get(j) for j in range(n_grown)}
        copies = config.initializer.copies(n, n_grown, config.task.blocks_alike)
        check_places("copies", copies, n, n_grown, config.initializer)
        copied |= {(i, j): source for j, source in copies.items()}
    return Sources(kept, copied)


class OldNames:
    """What tensors of the network `grown` were called in the network `old`."""

    def __init__(
        self, sources: Sources, stacks: Iterable[str], old: nn.Module, grown: nn.Module
    ) -> None:
        self.kept: dict[str, str | None] = {}
        """For each block of `grown` by its name, the old block that it continues."""
        self.copied: dict[str, str] = {}
        for i, stack in enumerate(stacks):
            before = _children(old, stack)
            for j, block in enumerate(_children(grown, stack)):
                source = sources.kept[i, j]
                self.kept[block] = None if source is None else before[source]
                if (i, j) in sources.copied:
                    self.copied[block] = before[sources.copied[i, j]]
        self._stacks = tuple(f"{stack}." for stack in stacks)

    def __call__(self, name: str, *, copies: bool = False) -> str | None:
        """The old name of the tensor or module `name`; None if it is new.

        With `copies`, those of new blocks that copy an old one have its name.
        """
        for stack in self._stacks:
            if name.startswith(stack):
                child, dot, rest = name.removeprefix(stack).partition(".")
                block = stack + child
                if block not in self.kept:  # the list's own tensor
                    continue
                source = self.kept[block]
                if source is None and copies:
                    source = self.copied.get(block)
                return None if source is None else source + dot + rest
        return name


def _children(network: nn.Module, stack: str) -> list[str]:
    return [f"{stack}.{name}" for name, _ in network.get_submodule(stack).named_children()]


@torch.no_grad()
def initialize(
    old: nn.Module, grown: nn.Module, sources: Sources, names: OldNames, before: Architecture,
    config: TrialConfig, epoch: int,
) -> None:  # fmt: skip
    """Give `grown`, as it was built after `epoch` epochs, its weights.

    Whatever is outside of blocks, and the blocks that have a source, are copied, buffers included.
    Then the trial's initializer changes the blocks. Its random draws come from the trial's seed
    and `epoch`, those of global generators too. `before` is the architecture of `old`.
    """
    assert config.initializer is not None
    weights = old.state_dict()
    for name, tensor in grown.state_dict().items():
        inherited = names(name, copies=True)
        if inherited is not None:
            _check_alike(name, tensor, inherited, weights.get(inherited), config)
            tensor.copy_(weights[inherited])
    draw = torch.Generator().manual_seed(derived_seed(config.seed, epoch, "new normalizations"))
    blocks = config.task.blocks(grown)
    with seeded(derived_seed(config.seed, epoch, "initializer")):
        for (i, j), source in sources.kept.items():
            step = before.blocks[i] / len(blocks[i])
            with unchanged_but_for_numbers(blocks[i][j], config.initializer):
                config.initializer.initialize(
                    blocks[i][j], new=source is None, step=step, draw=draw
                )


def _check_alike(
    name: str, tensor: Tensor, source: str, old: Tensor | None, config: TrialConfig
) -> None:
    """Raises InputError unless the tensor `source` of the old network has the shape of `name`."""
    if old is None or old.shape != tensor.shape:
        has = "is not there" if old is None else f"has shape {list(old.shape)}"
        raise InputError(
            f"tensor {name!r} of {config.task.label} has shape {list(tensor.shape)} after a "
            f"growth, and {source!r}, which it inherits, {has}; let only the number of blocks "
            "depend on the architecture"
        )


def new_blocks(
    old: Architecture, grown: Architecture, network: nn.Module, config: TrialConfig
) -> list[nn.Module]:
    """The blocks of the grown `network` that growth has made anew."""
    blocks = config.task.blocks(network)
    kept = block_sources(old, grown, config).kept
    return [blocks[i][j] for (i, j), source in kept.items() if source is None]
