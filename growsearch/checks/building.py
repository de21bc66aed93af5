"""Checks of the model that a task builds."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from growsearch.checks.outcome import Fault, Held
from growsearch.checks.subject import Subject
from growsearch.checks.tensors import copied, first_difference, parameters_and_buffers, unsaved
from growsearch.tasks.scores import count_parameters
from growsearch.tasks.seed_models import built
from growsearch.trial.architecture import Architecture


def check_building(subject: Subject) -> Held:
    """Stacks are lists of as many blocks, parameters grow with depth, seeds decide weights."""
    task, seed = subject.task, subject.seed
    depths = [seed, seed.grown(0), subject.grown]
    counts = []
    for architecture in depths:
        model = built(task, architecture, seed=0)
        first = copied(parameters_and_buffers(model))
        again = built(task, architecture, seed=0)
        _check_apart(architecture, model, again)
        second = parameters_and_buffers(again)
        if name := first_difference(first, second):
            raise Fault(
                f"tensor {name!r} of architecture {architecture} is not the same in two builds of "
                "one seed; draw weights from torch's global generator alone",
                "build",
            )
        counts.append(count_parameters(model))
    if not counts[0] < counts[1] <= counts[2]:
        raise Fault(
            f"architectures {_listed(depths)} have {_listed(counts)} parameters; each block must "
            "have its own, so that a deeper network has more",
            "build",
        )
    one, other_one = built(task, seed, seed=0), built(task, seed, seed=1)
    if name := first_difference(unsaved(one), unsaved(other_one)):
        raise Fault(
            f"tensor {name!r} is drawn at random and is not in the state dict, so an exported "
            "network has another one; make it a buffer with register_buffer",
            "build",
        )
    parameters, other = dict(one.named_parameters()), dict(other_one.named_parameters())
    if _drawn(parameters) and first_difference(parameters, other) is None:
        raise Fault(
            "two seeds build the same weights; draw them from torch's global generator, and leave "
            "its seed alone",
            "build",
        )
    return Held(f"depths {_listed(depths)}: {_listed(counts)} parameters")


def _check_apart(architecture: Architecture, one: nn.Module, other: nn.Module) -> None:
    """Two builds share no module and no tensor."""
    known = {id(module) for module in one.modules()}
    for name, module in other.named_modules():
        if id(module) in known:
            raise Fault(
                f"module {name!r} of architecture {architecture} is one object in two builds; "
                "build each module anew",
                "build",
            )
    places = {t.data_ptr() for t in parameters_and_buffers(one).values() if t.numel()}
    for name, tensor in parameters_and_buffers(other).items():
        if tensor.data_ptr() in places and tensor.numel():
            raise Fault(
                f"tensor {name!r} of architecture {architecture} has the memory of an earlier "
                "build; build each module anew",
                "build",
            )


def _drawn(parameters: Mapping[str, Tensor]) -> bool:
    """Whether some parameter does not hold one number everywhere."""
    return any(p.numel() > 1 and bool((p != p.flatten()[0]).any()) for p in parameters.values())


def _listed(values: Sequence[object]) -> str:
    return ", ".join(f"{v:,}" if isinstance(v, int) else str(v) for v in values)
