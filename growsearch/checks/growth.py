"""Checks of growth: what is inherited, what must not be, and what it does to the loss."""

from collections.abc import Mapping

from torch import Tensor, nn

from growsearch.checks.outcome import Fault, Found, Inapplicable
from growsearch.checks.subject import Subject
from growsearch.checks.tensors import (
    Simple,
    copied,
    equal,
    parameters_and_buffers,
    simple_attributes,
)
from growsearch.machine.randomness import derived_seed
from growsearch.tasks.seed_models import built
from growsearch.training.epoch import evaluate
from growsearch.trial.architecture import Architecture
from growsearch.trial.components import components
from growsearch.trial.errors import InputError

PLAIN = "default"
"""The initializer that changes nothing that is inherited."""


def check_inheritance(subject: Subject) -> Found:
    """Each tensor that the grown network inherits equals that of the old one."""
    task = subject.with_initializer(PLAIN)
    old = subject.trained.network
    before = copied(parameters_and_buffers(old))
    fresh = parameters_and_buffers(built(task, subject.seed, _weights_seed(subject)))
    saved = set(old.state_dict(keep_vars=True))
    for name, tensor in before.items():
        if name not in saved and not equal(tensor.cpu(), fresh[name]) and not _tied(old, name):
            raise Fault(
                f"training changes buffer {name!r}, which is not in the state dict, so it is lost "
                "at a growth and a resume; register it with persistent=True",
                "build",
            )
    grown = subject.grow(task).network
    old_name = subject.old_names(task, grown)
    inherited = 0
    for name, tensor in grown.state_dict().items():
        source = old_name(name)
        if source is None:
            continue
        if source not in before and source not in saved:
            raise Fault(f"tensor {name!r} of the grown network has no {source!r} before", "build")
        known = before[source] if source in before else old.state_dict()[source]
        if known.shape != tensor.shape:
            raise Fault(
                f"tensor {name!r} of the grown network has shape {list(tensor.shape)}, and "
                f"{source!r} before {list(known.shape)}; only the number of blocks may depend on "
                "the depth",
                "build",
            )
        if not equal(known, tensor):
            raise Fault(f"tensor {name!r} of the grown network is not {source!r} before", "build")
        inherited += 1
    new = len(grown.state_dict()) - inherited
    return Found(f"{subject.seed} to {subject.grown}: {inherited} tensors inherited, {new} new")


def _weights_seed(subject: Subject, epoch: int = 0) -> int:
    """The seed of the weights that the trainer builds."""
    return derived_seed(subject.config.seed, epoch, "weights")


def _tied(model: nn.Module, name: str) -> bool:
    """Whether the tensor is in the state dict under another name."""
    tensor = parameters_and_buffers(model)[name]
    return any(tensor is other for other in model.state_dict(keep_vars=True).values())


def check_constants(subject: Subject) -> Found:
    """Layer indices and other constants of the grown network are those of its depth."""
    task = subject.with_initializer(PLAIN)
    grown = subject.grow(task).network
    fresh = built(task, subject.grown, seed=0)
    _check_attributes(simple_attributes(grown), simple_attributes(fresh), "a new one")
    _check_constant_tensors(subject, grown)
    elsewhere: Mapping[str, Simple] | None = subject.learned.get("constants")
    if elsewhere is not None:
        _check_attributes(simple_attributes(grown), elsewhere, "one in a new process")
    n = len(simple_attributes(grown))
    untrained = simple_attributes(built(task, subject.seed, seed=0))
    moved = _different(simple_attributes(subject.trained.network), untrained)
    if moved:
        return Found(
            f"{n} constants are right, but training changes attribute {moved!r}, which is lost at "
            "a growth and a resume; make it a buffer if the model reads it",
            warning=True,
        )
    return Found(f"{n} numbers and strings of modules are those of a new network")


def _different(one: Mapping[str, Simple], other: Mapping[str, Simple]) -> str | None:
    for name in {**one, **other}:
        if name not in one or name not in other or repr(one[name]) != repr(other[name]):
            return name
    return None


def _check_attributes(grown: Mapping[str, Simple], right: Mapping[str, Simple], which: str) -> None:
    if name := _different(grown, right):
        raise Fault(
            f"attribute {name!r} of the grown network is {grown.get(name)!r}, and of {which} of "
            f"its depth {right.get(name)!r}: a stale constant; build each module anew",
            "build",
        )


def _check_constant_tensors(subject: Subject, grown: nn.Module) -> None:
    """Tensors that neither seed nor training changes are constants of the depth."""
    task = subject.with_initializer(PLAIN)
    trained = parameters_and_buffers(subject.trained.network)
    constants = _constants(subject, subject.seed)
    still = {n for n, tensor in constants.items() if equal(trained[n].cpu(), tensor)}
    right = _constants(subject, subject.grown)
    old_name, found = subject.old_names(task, grown), parameters_and_buffers(grown)
    for name, tensor in right.items():
        source = old_name(name)
        if source in still and not equal(found[name].cpu(), tensor):
            raise Fault(
                f"tensor {name!r} of the grown network is {_shown(found[name])}, inherited from "
                f"{source!r}, and of a new one {_shown(tensor)}: a stale constant; register the "
                "buffer with persistent=False, so that it is not inherited",
                "build",
            )


def _constants(subject: Subject, architecture: Architecture) -> dict[str, Tensor]:
    """The tensors that are the same for two seeds."""
    one, other = (
        parameters_and_buffers(built(subject.task, architecture, seed)) for seed in (0, 1)
    )
    return {name: tensor for name, tensor in one.items() if equal(tensor, other[name])}


def _shown(tensor: Tensor) -> str:
    return str(tensor.item()) if tensor.numel() == 1 else f"{list(tensor.shape)}"


def check_losses(subject: Subject) -> Found:
    """Validation loss just before and just after a growth, for each initializer that applies."""
    before = evaluate(subject.trained, subject.task, "val", 1)["loss"]
    after = {}
    for name in components("initializer"):
        try:
            task = subject.with_initializer(name)
            state = subject.grow(task)
        except InputError:
            continue
        after[name] = evaluate(state, task, "val", 1)["loss"]
    if not after:
        raise Inapplicable("no initializer takes the task")
    listed = ", ".join(f"{name} {loss:.4f}" for name, loss in after.items())
    return Found(f"before {before:.4f}; after {listed}")
