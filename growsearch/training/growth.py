"""Growing: a deeper network that continues from the shallower one."""

import copy

from torch import nn

from growsearch.growth.inherit import Sources, block_sources, inherited_name, initialize
from growsearch.tasks.images.dataset import Dataset
from growsearch.training.state import TrainState, new_network, new_optimizer
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import History


def grow(
    state: TrainState, architecture: Architecture, config: TrialConfig, dataset: Dataset, epoch: int
) -> TrainState:
    """A state with a network of `architecture` and a new optimizer, which continues from `state`.

    `state` has been trained for `epoch` epochs. The configuration says how the network is
    initialized from the old one; its seed and `epoch` decide the random draws. Momentum is dropped
    (LipGrow's program), or copied with the weights that are inherited (AutoGrow's program).

    The states share no tensors. Raises InputError if a sub-network has too few blocks to be cloned.
    """
    device = next(state.network.parameters()).device
    network = new_network(config, dataset, architecture, device, epoch)
    initialize(state.network, network, config, epoch)
    sources = block_sources(state.architecture, architecture, config)
    vectors = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            known = state.lipschitz_vectors.get(inherited_name(name, sources) or "")
            if known is not None:
                vectors[name] = known.clone()
    grown = TrainState(
        network, new_optimizer(config, network), history=state.history, lipschitz_vectors=vectors
    )
    if config.initializer is not None and config.initializer.momentum_on_growth == "carry":
        _carry_optimizer_state(state, grown, sources)
    return grown


def prepare_epoch(
    state: TrainState, history: History, phase: str, architecture: Architecture,
    config: TrialConfig, dataset: Dataset,
) -> TrainState:  # fmt: skip
    """The state after `history`, prepared for an epoch of `phase` with `architecture`.

    It is a new state if the network has to grow, or else `state`, changed in place.
    """
    if architecture != state.architecture:
        state = grow(state, architecture, config, dataset, len(history))
    state.history = history
    state.enter(phase, config)
    return state


def _carry_optimizer_state(old: TrainState, grown: TrainState, sources: Sources) -> None:
    """Copies the optimizer's state of inherited parameters; new parameters start without."""
    known = {
        name: old.optimizer.state[parameter]
        for name, parameter in old.network.named_parameters()
        if parameter in old.optimizer.state
    }
    for name, parameter in grown.network.named_parameters():
        inherited = known.get(inherited_name(name, sources) or "")
        if inherited is not None:
            grown.optimizer.state[parameter] = copy.deepcopy(inherited)
