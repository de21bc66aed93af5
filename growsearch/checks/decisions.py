"""The check that what a trial decides changes nothing that trials share."""

from collections.abc import Iterator, Mapping

import torch

from growsearch.checks.data import batches_of
from growsearch.checks.outcome import Fault, Held, Inapplicable
from growsearch.checks.subject import EPOCHS, Subject
from growsearch.checks.tensors import digest as digest_of
from growsearch.checks.tensors import parameters_and_buffers, simple_attributes
from growsearch.machine.batches import moved
from growsearch.machine.randomness import seeded
from growsearch.tasks.seed_models import built
from growsearch.tasks.task import Task
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.options import Role

_SHARED = (Role.DATA, Role.NETWORK, Role.EPOCH)
_GROWTHS = ("growth_epochs", "growth_architectures")


def check_decisions(subject: Subject) -> Held:
    """Model, batches, loss and evaluation are those of a trial of other epochs or policy."""
    known, names = _parts(subject, subject.task), []
    for name, config in _others(subject.config):
        names.append(name)
        task = config.task.on(subject.task.device, subject.task.loaded)
        for method, part in _parts(subject, task).items():
            if part != known[method]:
                raise Fault(
                    f"{method} depends on the trial's {name}, and trials that differ in it share "
                    "epochs; make what it needs an option of the task",
                    method,
                )
    if not names:
        raise Inapplicable("the options allow no trial with other epochs or without growth")
    return Held(f"model, batches, loss and evaluation depend on neither of: {', '.join(names)}")


def _others(config: TrialConfig) -> Iterator[tuple[str, TrialConfig]]:
    """Trials that share the first epoch with that of `config`, and the option that differs."""
    plain = {n: v for n, v in config.given.items() if n not in _GROWTHS}
    changed = {
        "epochs": {**config.given, "epochs": 10 * EPOCHS},
        "policy": {**plain, "policy": "none"},
    }
    for name, given in changed.items():
        try:
            other = TrialConfig(given=given)
        except InputError:  # some options need growth
            continue
        if other.values(*_SHARED) == config.values(*_SHARED):
            yield name, other


def _parts(subject: Subject, task: Task) -> Mapping[str, str]:
    """What the trial of `task` begins with, by the method that makes it."""
    model = built(task, subject.seed, seed=0).to(task.device).eval()
    weights = digest_of(parameters_and_buffers(model))
    kinds = [(name, type(module).__name__) for name, module in model.named_modules()]
    parts = {"build": f"{weights} {kinds} {simple_attributes(model)}"}
    seed = task.trial.seed
    parts["batches"] = repr([batches_of(task, split, seed, 1) for split in task.splits])
    with torch.no_grad(), seeded(0):
        first = next(iter(task.batches("train", seed, 1)))
        parts["loss"] = repr(float(task.loss(model, moved(first, task.device))))
    with torch.no_grad(), seeded(0):
        parts["evaluate"] = repr(sorted(task.evaluate(model, "val").items()))
    return parts
