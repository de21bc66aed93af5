"""Checks of growth: what is inherited, what must not be, and what it does to the loss."""

from collections.abc import Mapping

from torch import Tensor, nn

from growsearch.checks.outcome import Fault, Held, Inapplicable
from growsearch.checks.subject import PLAIN, Subject
from growsearch.checks.tensors import copied, parameters_and_buffers, simple_attributes
from growsearch.machine.batches import equal
from growsearch.machine.randomness import derived_seed
from growsearch.tasks.seed_models import built
from growsearch.training.epoch import evaluate
from growsearch.trial.architecture import Architecture
from growsearch.trial.components import components
from growsearch.trial.errors import InputError


def check_inheritance(subject: Subject) -> Held:
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
    weights = old.state_dict()
    fresh_grown = built(task, subject.grown, seed=0)
    old_name = subject.old_names(task, fresh_grown)
    names = {name: old_name(name) for name in fresh_grown.state_dict()}
    _check_shapes(fresh_grown.state_dict(), weights, names)
    grown = subject.grow(task).network.state_dict()
    inherited = {name: source for name, source in names.items() if source is not None}
    for name, source in inherited.items():
        if not equal(grown[name], weights[source]):
            raise Fault(f"tensor {name!r} of the grown network is not {source!r} before", "build")
    new = len(grown) - len(inherited)
    return Held(f"{subject.seed} to {subject.grown}: {len(inherited)} tensors inherited, {new} new")


def _check_shapes(
    grown: Mapping[str, Tensor], old: Mapping[str, Tensor], names: Mapping[str, str | None]
) -> None:
    """What is inherited is there, in both networks, in one shape."""
    rule = "only the number of blocks may depend on the depth"
    for name, source in names.items():
        if source is None:
            continue
        if source not in old:
            raise Fault(f"tensor {name!r} of the grown network has no {source!r} before; {rule}",
                        "build")  # fmt: skip
        if grown[name].shape != old[source].shape:
            raise Fault(
                f"tensor {name!r} of the grown network has shape {list(grown[name].shape)}, and "
                f"{source!r} before {list(old[source].shape)}; {rule}",
                "build",
            )
    for source in old:
        if source not in names.values():
            raise Fault(f"nothing in the grown network inherits tensor {source!r}; {rule}", "build")


def _weights_seed(subject: Subject, epoch: int = 0) -> int:
    """The seed of the weights that the trainer builds."""
    return derived_seed(subject.config.seed, epoch, "weights")


def _tied(model: nn.Module, name: str) -> bool:
    """Whether the tensor is in the state dict under another name."""
    tensor = parameters_and_buffers(model)[name]
    return any(tensor is other for other in model.state_dict(keep_vars=True).values())


def check_constants(subject: Subject) -> Held:
    """Layer indices and other constants of the grown network are those of its depth."""
    task = subject.with_initializer(PLAIN)
    grown = subject.grow(task).network
    fresh = built(task, subject.grown, seed=0)
    _check_attributes(simple_attributes(grown), simple_attributes(fresh), "a new one")
    _check_constant_tensors(subject, grown)
    elsewhere: dict[str, str] | None = subject.learned.get("constants")
    if elsewhere is not None:
        _check_attributes(simple_attributes(grown), elsewhere, "one in a new process")
    n = len(simple_attributes(grown))
    untrained = simple_attributes(built(task, subject.seed, seed=0))
    moved = _different(simple_attributes(subject.trained.network), untrained)
    if moved:
        return Held(
            f"{n} constants are right, but training changes attribute {moved!r}, which is lost at "
            "a growth and a resume; make it a buffer if the model reads it",
            warning=True,
        )
    return Held(f"{n} numbers and strings of modules are those of a new network")


def _different(one: Mapping[str, str], other: Mapping[str, str]) -> str | None:
    for name in {**one, **other}:
        if name not in one or name not in other or one[name] != other[name]:
            return name
    return None


def _check_attributes(grown: Mapping[str, str], right: Mapping[str, str], which: str) -> None:
    if name := _different(grown, right):
        raise Fault(
            f"attribute {name!r} of the grown network is {grown.get(name, 'missing')}, and of "
            f"{which} of its depth {right.get(name, 'missing')}: a stale constant; build each "
            "module anew",
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


def check_losses(subject: Subject) -> Held:
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
    return Held(f"before {before:.4f}; after {listed}")
