"""Growing: a deeper network that goes on where the shallower one stands."""

from growsearch.architecture import Architecture
from growsearch.config import TrialConfig
from growsearch.data import Dataset
from growsearch.initializers import clone, cloned_prefixes, source_name
from growsearch.train_state import TrainState, new_network, new_optimizer


def grow(
    state: TrainState, architecture: Architecture, config: TrialConfig, dataset: Dataset
) -> TrainState:
    """`state` with a network of `architecture`, cloned from its own, and a new optimizer.

    The momentum is dropped (as in LipGrow's published program). Nothing is shared with the old
    state. Raises InputError where the architecture cannot be cloned from.
    """
    device = next(state.network.parameters()).device
    network = new_network(config, dataset, architecture, device)
    clone(state.network, network)
    prefixes = cloned_prefixes(state.architecture, architecture)
    vectors = {}
    for name, _ in network.named_modules():
        known = state.lipschitz_vectors.get(source_name(name, prefixes))
        if known is not None:
            vectors[name] = known.clone()
    return TrainState(network, new_optimizer(config, network), state.history, vectors)
