"""Growing: a deeper network that goes on where the shallower one stands."""

from torch import nn

from growsearch.architecture import Architecture
from growsearch.config import TrialConfig
from growsearch.data import Dataset
from growsearch.initializers import block_sources, inherited_name, initialize
from growsearch.train_state import TrainState, new_network, new_optimizer


def grow(
    state: TrainState, architecture: Architecture, config: TrialConfig, dataset: Dataset, epoch: int
) -> TrainState:
    """`state` after `epoch` epochs, with a network of `architecture` and a new optimizer.

    The network is initialized from the old one as the configuration says; what it draws at random
    comes from the configuration's seed and `epoch`.

    The momentum is dropped (as in LipGrow's published program). Nothing is shared with the old
    state. Raises InputError where the architecture cannot be cloned from.
    """
    assert config.initializer is not None
    device = next(state.network.parameters()).device
    network = new_network(config, dataset, architecture, device, epoch)
    initialize(state.network, network, config.initializer, config.scaling)
    sources = block_sources(state.architecture, architecture, config.initializer)
    vectors = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            known = state.lipschitz_vectors.get(inherited_name(name, sources) or "")
            if known is not None:
                vectors[name] = known.clone()
    return TrainState(network, new_optimizer(config, network), state.history, vectors)
