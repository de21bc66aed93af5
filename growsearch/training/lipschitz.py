"""The Lipschitz constants of a trial's network after an epoch, as its option lipschitz says."""

from itertools import chain
from typing import Any

from torch import nn

from growsearch.growth.constants import LipschitzConstants
from growsearch.growth.jacobian import SAMPLES, jacobian_norms
from growsearch.machine.batches import mapped, moved, size
from growsearch.tasks.task import Task
from growsearch.training.state import TrainState

LARGEST = "lipschitz_max"
"""The metric of an epoch: the largest norm of any block's Jacobian at any example."""


def measured_constants(
    state: TrainState, task: Task
) -> tuple[LipschitzConstants | None, dict[str, float]]:
    """The Lipschitz constants of the network, None if it has no blocks, and their metrics.

    By Jacobians, a block's constant is the mean over examples. Vectors of the state are updated.
    Raises InputError for blocks that Jacobians cannot be taken of.
    """
    trial, history = task.trial, state.history
    if not any(state.architecture.blocks):
        return None, {}
    if trial.lipschitz != "jacobian":
        settled = bool(history) and not history[-1].grew
        return task.lipschitz_constants(
            state.network, state.lipschitz_vectors, trial.seed, settled
        ), {}
    batch = _first_examples(task)
    blocks = task.blocks(state.network)
    names = {module: name for name, module in state.network.named_modules()}
    norms = jacobian_norms(
        state.network, {names[block]: block for block in chain.from_iterable(blocks)},
        lambda: task.loss(state.network, batch), size(batch), task.added, state.lipschitz_vectors,
        trial.seed,
    )  # fmt: skip

    def constant(block: nn.Module) -> float:
        return float(norms[names[block]].mean())

    constants = LipschitzConstants([[[constant(block)] for block in stack] for stack in blocks])
    return constants, {LARGEST: max(float(found.max()) for found in norms.values())}


def _first_examples(task: Task) -> Any:
    """The first SAMPLES examples of validation, on the task's device."""
    batch = next(iter(task.batches("val", task.trial.seed, 0)))
    return moved(mapped(batch, lambda t: t[:SAMPLES] if t.dim() else t), task.device)
