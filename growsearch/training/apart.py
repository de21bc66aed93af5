"""Epochs after a growth that train some parameters of new blocks alone."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from growsearch.growth.inherit import new_blocks
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import History


def apart_parameters(
    network: nn.Module, architecture: Architecture, history: History, config: TrialConfig
) -> list[nn.Parameter]:
    """The parameters that are trained alone after the last growth of `history`.

    `architecture` is that of `network`, which has grown.
    """
    assert config.initializer is not None
    blocks = _new_blocks(network, architecture, history, config)
    found = [p for block in blocks for p in config.initializer.apart_parameters(block)]
    if not found:
        raise InputError(
            f"initializer {config.initializer.name!r} trains new blocks apart, and its "
            "apart_parameters gives none of their parameters; return some, or leave is_apart out"
        )
    return found


@contextmanager
def only_new_blocks(
    network: nn.Module, architecture: Architecture, history: History, config: TrialConfig
) -> Iterator[None]:
    """Within it, training changes `apart_parameters` alone.

    Where the initializer `freezes_statistics`, running statistics outside of the new blocks stand
    still as well; those of the new blocks, which have none yet, are gathered. Batches are
    normalized as in training, so that accuracy can be compared.
    """
    assert config.initializer is not None
    trained = set(apart_parameters(network, architecture, history, config))
    learns = {parameter: parameter.requires_grad for parameter in network.parameters()}
    for parameter in learns:
        parameter.requires_grad_(learns[parameter] and parameter in trained)
    blocks = _new_blocks(network, architecture, history, config)
    new = {module for block in blocks for module in block.modules()}
    still = [
        module
        for module in network.modules()
        if isinstance(module, _BatchNorm)
        and module not in new
        and config.initializer.freezes_statistics
    ]
    for module in still:
        module.track_running_stats = False
    try:
        yield
    finally:
        for parameter, did in learns.items():  # a task may have frozen some
            parameter.requires_grad_(did)
        for module in still:
            module.track_running_stats = True


def _new_blocks(
    network: nn.Module, architecture: Architecture, history: History, config: TrialConfig
) -> list[nn.Module]:
    old = Architecture(history[history.last_growth - 1].architecture)
    return new_blocks(old, architecture, network, config)
