"""The check that evaluation changes nothing."""

import random
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from growsearch.checks.outcome import Fault, Held
from growsearch.checks.subject import Subject
from growsearch.checks.tensors import (
    copied,
    first_difference,
    parameters_and_buffers,
    simple_attributes,
)
from growsearch.machine.randomness import seeded
from growsearch.tasks.seed_models import built
from growsearch.training.epoch import evaluate
from growsearch.training.state import TrainState


def check_evaluation(subject: Subject) -> Held:
    """Evaluation leaves the model as it was, and gives the same once more."""
    task = subject.task
    model = built(task, subject.seed, seed=0).to(task.device)
    # evaluation has no use for an optimizer, and the task's has a check of its own
    unused = torch.optim.SGD(model.parameters(), lr=0.0)
    state = TrainState(model, unused, subject.seed)
    said = []
    for split in task.splits:
        if split == "train":
            continue
        model.eval()
        before, modes = copied(parameters_and_buffers(model)), _modes(model)
        attributes = simple_attributes(model)
        first = evaluate(state, task, split, 1)
        if name := first_difference(before, parameters_and_buffers(model)):
            raise Fault(f"evaluate changes tensor {name!r} on {split!r}", "evaluate")
        if name := _changed(modes, _modes(model)):
            raise Fault(
                f"evaluate leaves module {name!r} in another training mode on {split!r}; do not "
                "call train() there, the trainer sets modes",
                "evaluate",
            )
        if name := _changed(attributes, simple_attributes(model)):
            raise Fault(f"evaluate changes attribute {name!r} on {split!r}", "evaluate")
        second = evaluate(state, task, split, 1)
        if name := _changed(first, second):
            raise Fault(
                f"evaluate gives {name} {first[name]} on {split!r}, and {second[name]} once more "
                "from the same random state",
                "evaluate",
            )
        said.append(f"{split}: " + ", ".join(f"{n} {v:.4g}" for n, v in first.items()))
    drawn = _draws(subject, model)
    if drawn:
        return Held(
            f"{'; '.join(said)}; it draws from the global generator of {drawn}, which is seeded "
            "before each evaluation",
            warning=True,
        )
    return Held("; ".join(said))


def _modes(model: nn.Module) -> dict[str, bool]:
    return {name: module.training for name, module in model.named_modules()}


def _changed(before: Mapping[str, object], after: Mapping[str, object]) -> str | None:
    """The first name that has another value, or that only one has."""
    for name in {**before, **after}:
        if name not in before or name not in after or _differ(before[name], after[name]):
            return name or "the model"
    return None


def _differ(one: object, other: object) -> bool:
    return repr(one) != repr(other)


def _draws(subject: Subject, model: nn.Module) -> str:
    """Whose global random state an evaluation changes."""
    with seeded(0), torch.no_grad():
        before = _random_states()
        subject.task.evaluate(model.eval(), "val")
        after = _random_states()
    return " and ".join(name for name in before if before[name] != after[name])


def _random_states() -> dict[str, str]:
    _, keys, place, *_ = np.random.get_state(legacy=True)
    return {
        "Python": repr(random.getstate()),
        "NumPy": f"{place} {np.asarray(keys).tobytes().hex()}",
        "torch": torch.random.get_rng_state().numpy().tobytes().hex(),
    }
