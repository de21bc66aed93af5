"""Checks of a training step: loss, gradients, optimizer."""

import math
from collections import Counter

from torch import nn

from growsearch.checks.outcome import Fault, Held
from growsearch.checks.subject import Subject
from growsearch.machine.randomness import seeded
from growsearch.tasks.first_look import check_loss
from growsearch.tasks.seed_models import built
from growsearch.training.state import new_optimizer
from growsearch.trial.architecture import Architecture


def check_loss_and_gradients(subject: Subject) -> Held:
    """The loss is a finite scalar, and each parameter gets a gradient from it."""
    task = subject.task
    model = built(task, subject.seed, seed=0).to(task.device).train()
    first, lacking = None, {n for n, p in model.named_parameters() if p.requires_grad}
    with seeded(0):
        for i, batch in enumerate(task.training_batches(1)):
            loss, _ = task.score(model, batch)
            check_loss(task, loss)
            if not math.isfinite(loss.item()):
                raise Fault(f"the loss of training batch {i} is {loss.item()}", "loss")
            first = loss.item() if first is None else first
            model.zero_grad()
            loss.backward()
            lacking -= {n for n, p in model.named_parameters() if p.grad is not None}
    if lacking:
        return Held(
            f"loss {first:.4g}, but no gradient comes to {_some(sorted(lacking))}: they are not "
            "trained",
            warning=True,
        )
    return Held(f"loss {first:.4g} of the first batch; every parameter gets a gradient")


def _some(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:3]))
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def check_optimizer(subject: Subject) -> Held:
    """Each parameter is in one group of the optimizer, before and after growth."""
    for architecture in (subject.seed, subject.grown):
        model = built(subject.task, architecture, seed=0).to(subject.task.device)
        groups = _check_groups(subject, architecture, model)
    return Held(groups)


def _check_groups(subject: Subject, architecture: Architecture, model: nn.Module) -> str:
    optimizer = new_optimizer(subject.task, model)
    known = {id(p) for p in model.parameters()}
    for i, group in enumerate(optimizer.param_groups):
        for parameter in group["params"]:
            if id(parameter) not in known:
                raise Fault(
                    f"group {i} of the optimizer has a tensor {list(parameter.shape)} that is no "
                    f"parameter of the model of architecture {architecture}; make a new optimizer "
                    "for each model",
                    "optimizer",
                )
    sizes = Counter(i for i, g in enumerate(optimizer.param_groups) for _ in g["params"])
    counts = " + ".join(str(sizes[i]) for i in range(len(optimizer.param_groups)))
    kind = type(optimizer).__name__
    return f"{kind} has each parameter once ({counts} after growth)"
