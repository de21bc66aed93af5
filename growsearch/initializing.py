"""Epochs after a growth that train new blocks apart from the others: AdamInit, partial training."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from growsearch.architecture import Architecture
from growsearch.blocks import ResidualBlock
from growsearch.config import TrialConfig
from growsearch.history import History
from growsearch.initializers import new_blocks
from growsearch.networks import GrowableNetwork


def apart_parameters(
    network: GrowableNetwork, history: History, config: TrialConfig
) -> list[nn.Parameter]:
    """What is trained after the last growth of `history`, while all else stands still.

    adam: scale and shift of the last batch normalization of each new residual (AutoGrow, section
    2.2); partial: the new blocks.
    """
    blocks = _new_blocks(network, history, config)
    if config.initializer == "adam":
        return [
            parameter
            for block in blocks
            if isinstance(block, ResidualBlock)
            for parameter in block.last_normalization.parameters()
        ]
    return [parameter for block in blocks for parameter in block.parameters()]


@contextmanager
def only_new_blocks(
    network: GrowableNetwork, history: History, config: TrialConfig
) -> Iterator[None]:
    """Training changes `apart_parameters` alone.

    With adam the running statistics of old blocks, stem and head stand still as well, so that
    growing changes nothing old. Those of the new blocks, which have none yet, are gathered. Batches
    are normalized as in training, so that accuracy can be compared. AutoGrow's program differs in
    three points: it moves the running statistics of all normalizations, its Adam has a weight decay
    of 5e-4 and ours has none, and it stops when training accuracy lacks strictly less than half a
    point, not at half a point.
    """
    trained = set(apart_parameters(network, history, config))
    for parameter in network.parameters():
        parameter.requires_grad_(parameter in trained)
    new = {m for block in _new_blocks(network, history, config) for m in block.modules()}
    still = [
        module
        for module in network.modules()
        if isinstance(module, nn.BatchNorm2d) and module not in new and config.initializer == "adam"
    ]
    for module in still:
        module.track_running_stats = False
    try:
        yield
    finally:
        network.requires_grad_(True)
        for module in still:
            module.track_running_stats = True


def _new_blocks(network: GrowableNetwork, history: History, config: TrialConfig) -> list[nn.Module]:
    old = Architecture(history[history.last_growth - 1].architecture)
    return new_blocks(old, network, config)
