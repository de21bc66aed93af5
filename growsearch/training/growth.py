"""Growing: a deeper network that is initialized from the shallower one."""

from torch import nn

from growsearch.growth.initializers import Sources, block_sources, inherited_name, initialize
from growsearch.tasks.images.dataset import Dataset
from growsearch.training.state import TrainState, new_network, new_optimizer
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import History


def grow(
    state: TrainState, architecture: Architecture, config: TrialConfig, dataset: Dataset, epoch: int
) -> TrainState:
    """`state` after `epoch` epochs, with a network of `architecture` and a new optimizer.

    The network is initialized from the old one as the configuration says; what it draws at random
    comes from the configuration's seed and `epoch`. Its momentum is dropped (as in LipGrow's
    program), or carried over with the weights that are inherited (as in AutoGrow's).

    Nothing is shared with the old state. Raises InputError where the architecture cannot be cloned
    from.
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
    if config.momentum_on_growth == "carry":
        _carry_momentum(state, grown, sources)
    return grown


def prepare_epoch(
    state: TrainState, history: History, phase: str, architecture: Architecture,
    config: TrialConfig, dataset: Dataset,
) -> TrainState:  # fmt: skip
    """The state after `history`, ready for an epoch of `phase`; grown, if it is not yet, to
    `architecture`.
    """
    if architecture != state.architecture:
        state = grow(state, architecture, config, dataset, len(history))
    state.history = history
    state.enter(phase, config)
    return state


def _carry_momentum(old: TrainState, grown: TrainState, sources: Sources) -> None:
    """New parameters start without."""
    momenta = {
        name: old.optimizer.state[parameter].get("momentum_buffer")
        for name, parameter in old.network.named_parameters()
    }
    for name, parameter in grown.network.named_parameters():
        momentum = momenta.get(inherited_name(name, sources) or "")
        if momentum is not None:
            grown.optimizer.state[parameter]["momentum_buffer"] = momentum.clone()
