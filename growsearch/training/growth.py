"""Growth of the training state: a deeper network that continues from the shallower one."""

import copy

from torch import Tensor

from growsearch.growth.inherit import OldNames, block_sources, initialize
from growsearch.tasks.task import Task
from growsearch.training.state import TrainState, new_network, new_optimizer
from growsearch.trial.architecture import Architecture
from growsearch.trial.history import History

_FIRST_MOMENTS = ("momentum_buffer", "exp_avg")
"""Names that torch's optimizers give running means of gradients."""


def grow(state: TrainState, architecture: Architecture, task: Task, epoch: int) -> TrainState:
    """A state with a network of `architecture` and a new optimizer, which continues from `state`.

    `state` has been trained for `epoch` epochs. The configuration says how the network is
    initialized from the old one; its seed and `epoch` decide the random draws. Optimizer state is
    dropped (LipGrow's program), or copied with the weights that are inherited (AutoGrow's program).

    The states share no tensors. Raises InputError if a sub-network has too few blocks to be cloned.
    """
    config = task.trial
    network = new_network(task, architecture, epoch)
    sources = block_sources(state.architecture, architecture, config)
    names = OldNames(sources, task.stacks, state.network, network)
    initialize(state.network, network, sources, names, state.architecture, config, epoch)
    vectors = {}
    for name, _ in network.named_modules():
        known = state.lipschitz_vectors.get(names(name) or "")
        if known is not None:
            vectors[name] = known.clone()
    grown = TrainState(
        network, new_optimizer(task, network), architecture, history=state.history,
        lipschitz_vectors=vectors,
    )  # fmt: skip
    if config.initializer is not None and config.initializer.momentum_on_growth == "carry":
        treated = getattr(config.initializer, "state_of_copies", "reset")
        _carry_optimizer_state(state, grown, names, treated)
    return grown


def prepare_epoch(
    state: TrainState, history: History, phase: str, architecture: Architecture, task: Task
) -> TrainState:
    """The state after `history`, prepared for an epoch of `phase` with `architecture`.

    It is a new state if the network has to grow, or else `state`, changed in place.
    """
    if architecture != state.architecture:
        state = grow(state, architecture, task, len(history))
    state.history = history
    state.enter(phase, task.trial)
    return state


def _carry_optimizer_state(
    old: TrainState, grown: TrainState, names: OldNames, treated: str
) -> None:
    """Copies the optimizer's state of inherited parameters by their names.

    `treated` says what parameters of copied blocks get: "reset" nothing, "copy" the state of those
    that they copy, "halve" that with first moments halved.
    """
    known = {
        name: old.optimizer.state[parameter]
        for name, parameter in old.network.named_parameters()
        if parameter in old.optimizer.state
    }
    for name, parameter in grown.network.named_parameters():
        is_copy = names(name) is None and treated != "reset"
        inherited = known.get(names(name, copies=is_copy) or "")
        if inherited is not None:
            state = copy.deepcopy(inherited)
            if is_copy and treated == "halve":
                _halve(state)
            grown.optimizer.state[parameter] = state


def _halve(state: dict[str, Tensor]) -> None:
    for name in _FIRST_MOMENTS:
        if state.get(name) is not None:
            state[name].mul_(0.5)
