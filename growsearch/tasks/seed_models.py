"""Models as a task builds them, checked and from a seed."""

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from growsearch.machine.memory import check_fits
from growsearch.machine.randomness import seeded
from growsearch.trial.architecture import Architecture
from growsearch.trial.errors import InputError

if TYPE_CHECKING:
    from growsearch.tasks.task import Task

_FEW_BLOCKS = 1000
"""Number of blocks up to which no estimate is made."""
_MODULE_BYTES = 2000
"""What a module takes at least, beside its weights."""


def built(task: "Task", architecture: Architecture, seed: int) -> nn.Module:
    """The task's model of `architecture` on the CPU. Its weights depend on `seed` alone.

    Raises InputError if `build` returns no module, or one whose stacks are not what the task says.
    """
    model = _built(task, architecture, seed)
    check(task, model, architecture)
    if task.trial.policy.grows and not all(architecture.blocks):
        # a stack without blocks shows nothing of those that growth will add
        deeper = Architecture(max(n, 1) for n in architecture.blocks)
        check(task, _built(task, deeper, seed), deeper)
    return model


def _built(task: "Task", architecture: Architecture, seed: int) -> nn.Module:
    _check_size(task, architecture, seed)
    with seeded(seed):
        return task.build(architecture)


def _check_size(task: "Task", architecture: Architecture, seed: int) -> None:
    """InputError if memory cannot hold the weights, gradients and momenta of a deep architecture.

    A model with at most one block in each stack shows what a block takes.
    """
    if sum(architecture.blocks) <= _FEW_BLOCKS:
        return
    small = Architecture(min(max(n, task.least_depth), 1) for n in architecture.blocks)
    with seeded(seed):
        model = task.build(small)
    size = 0
    for blocks, depth in zip(task.blocks(model), architecture.blocks, strict=True):
        for block in blocks[:1]:
            weights = sum(p.numel() * p.element_size() for p in block.parameters())
            size += depth * (3 * weights + _MODULE_BYTES * len(list(block.modules())))
    check_fits(size, f"architecture {architecture}", "start from a shallower one")


def check(task: "Task", model: object, architecture: Architecture) -> None:
    """Raises InputError unless the model's stacks are lists of as many blocks."""
    if not isinstance(model, nn.Module):
        raise InputError(
            f"build of task {task.name!r} returned {type(model).__name__}; return an nn.Module"
        )
    for name, value in model.state_dict(keep_vars=True).items():
        if isinstance(value, UninitializedParameter | UninitializedBuffer):
            raise InputError(
                f"{name!r} of the model of task {task.name!r} has no shape before the first batch; "
                "build the layer with its sizes instead of a lazy one"
            )
        if not isinstance(value, torch.Tensor):
            raise InputError(
                f"{name!r} of the model of task {task.name!r} is extra state that is no tensor; "
                "keep it in buffers, so that growth can inherit it"
            )
    for stack, depth in zip(task.stacks, architecture.blocks, strict=True):
        try:
            blocks = model.get_submodule(stack)
        except AttributeError as error:
            raise InputError(
                f"task {task.name!r} names the stack {stack!r}, but its model has none "
                f"({error}); correct stacks, or assign the list to self in the model"
            ) from error
        if not isinstance(blocks, nn.ModuleList | nn.Sequential):
            raise InputError(
                f"stack {stack!r} of task {task.name!r} is a {type(blocks).__name__}; make it an "
                "nn.ModuleList or nn.Sequential of blocks"
            )
        if len(blocks) != depth:
            raise InputError(
                f"build of task {task.name!r} made {len(blocks)} blocks in {stack!r} for "
                f"architecture {str(architecture)!r}; make as many as architecture.blocks says"
            )
        if len(set(map(id, blocks))) != depth:
            raise InputError(
                f"stack {stack!r} of task {task.name!r} has one block at several places; make a "
                "block for each place"
            )
        _check_residuals(task, stack, blocks)


def _check_residuals(task: "Task", stack: str, blocks: nn.Module) -> None:
    """Raises InputError if blocks lack what the trial's initializer needs of residuals."""
    initializer = task.trial.initializer
    if initializer is None or not task.residual:
        return
    if task.plain_blocks and not initializer.needs_residual:
        return
    for name in initializer.block_methods:
        for block in blocks.children():
            if not hasattr(block, name):
                raise InputError(
                    f"initializer {initializer.name!r} needs {name} of a block with a residual, "
                    f"and {type(block).__name__} in {stack!r} of task {task.name!r} has none; "
                    "define it there, or choose initializer 'default'"
                )
