"""What a recorded network is made of, and the network made again, of the size of its weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from growsearch.growth.step_sizes import StepSize
from growsearch.machine.bounds import LITTLE
from growsearch.trial.architecture import Architecture
from growsearch.trial.components import components
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError, one_line
from growsearch.trial.trial_options import flat

if TYPE_CHECKING:
    from torch import Tensor, nn

    from growsearch.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """All that a network is made of but its weights."""

    options: Mapping[str, Any]
    """The options of a trial that builds such networks, with a policy that never grows."""
    plugins: Mapping[str, str]
    """By kind, hashes of the users' sources that the trial's components come from."""
    architecture: str
    steps: tuple[tuple[float, float], ...]
    """Implicit and explicit step size of each stack's blocks, where the task has `explicit_steps`:
    see StepSize."""
    facts: Mapping[str, Any]
    """What the task must know of its data: see Task.facts."""

    @classmethod
    def of(cls, config: TrialConfig, architecture: str, facts: Mapping[str, Any]) -> Self:
        """The network of `architecture` that the trial of `config` comes to."""
        parts = [part for part in config.components() if part.kind in _BUILDING]
        options: dict[str, Any] = {part.kind: part.name for part in parts}
        for part in parts:
            options |= {name: flat(value) for name, value in part.values().items()}
        task = config.task
        steps: tuple[tuple[float, float], ...] = ()
        if task.explicit_steps:
            sizes = task.step_sizes(Architecture(architecture))
            steps = tuple((step.implicit, step.explicit) for step in sizes)
        return cls(
            options={name: value for name, value in options.items() if value is not None},
            plugins={part.kind: part.plugin for part in parts if part.plugin is not None},
            architecture=architecture,
            steps=steps,
            facts=facts,
        )

    @property
    def trial(self) -> TrialConfig:
        """A trial that builds such networks.

        Raises InputError if a component is not known here, or is of another version.
        """
        for kind, plugin in self.plugins.items():
            name = self.options[kind]
            known = components(kind)
            if name not in known or known[name].plugin != plugin:
                problem = "not known here" if name not in known else "of another version here"
                raise InputError(
                    f"{kind} {name!r} is {problem}; load the plugin that it was made with by "
                    "--plugin FILE (in Python: growsearch.load_plugins([FILE]))"
                )
        try:
            return TrialConfig(
                given={**self.options, "policy": "none", "architecture": self.architecture}
            )
        except InputError as error:
            raise InputError(
                f"the network cannot be made here ({error}); load it with the growsearch that "
                "wrote it"
            ) from error

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`, from JSON.

        Raises KeyError, TypeError, ValueError, OverflowError.
        """
        options, plugins = dict(values["options"]), dict(values["plugins"])
        for kind in plugins:
            if kind not in _BUILDING or not isinstance(options[kind], str):
                raise ValueError(f"plugins has {kind!r}")
        return cls(
            options=options,
            plugins=plugins,
            architecture=str(values["architecture"]),
            steps=tuple((float(i), float(e)) for i, e in values["steps"]),
            facts=dict(values["facts"]),
        )


_BUILDING = ("task", "dataset", "network")
"""Kinds of the components that build networks."""
_FEW_BLOCKS, _LEAST_OF_BLOCK = 1000, 500
"""The most blocks that a network without weights may have, and the least bytes of weights that each
block of another network has. Building a block takes some 70 kB."""


def rebuilt(spec: NetworkSpec, weights: Mapping[str, "Tensor"]) -> "nn.Module":
    """The network of `spec` with its weights, on the CPU, in evaluation mode.

    The only place where a recorded network is built again. Raises InputError if its components are
    not known here, or the weights are not those of such a network.
    """
    task = spec.trial.task
    _check_size(task, spec, weights)
    network = _made(task, spec)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(
            f"the weights are not those of a {task.label} {spec.architecture} "
            f"({one_line(error)[:300]}); export the network again"
        ) from error
    return network.requires_grad_(False).eval()


def _made(task: "Task", spec: NetworkSpec) -> "nn.Module":
    steps = [StepSize(*step) for step in spec.steps]
    try:
        return task.rebuilt(Architecture(spec.architecture), spec.facts, steps)
    except InputError:
        raise
    except Exception as error:  # a task's own code may raise anything
        if task.plugin:
            raise InputError(
                f"{task.label} cannot build a network without its data ({type(error).__name__}: "
                f"{one_line(error)[:200]}); define facts() and rebuilt(architecture, facts, steps)"
            ) from error
        damaged = (KeyError, TypeError, ValueError, OverflowError, RuntimeError)
        if not isinstance(error, damaged):
            raise
        raise InputError(
            f"the network cannot be made of damaged metadata ({type(error).__name__}: "
            f"{one_line(error)[:200]}); export the network again"
        ) from error


@contextmanager
def _without_memory() -> Iterator[None]:
    """Tensors made within the block have shapes, and neither memory nor numbers."""
    import torch
    from torch.overrides import TorchFunctionMode

    class Unset(TorchFunctionMode):
        """Leaves out what sets numbers in place: without memory, torch imports sympy for it."""

        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            name = getattr(func, "__name__", "")
            if name.endswith("_") and not name.endswith("__"):
                return args[0] if args else kwargs["tensor"]
            return func(*args, **(kwargs or {}))

    with torch.device("meta"), Unset():
        yield


def _check_size(task: "Task", spec: NetworkSpec, weights: Mapping[str, "Tensor"]) -> None:
    """InputError if the network would have more numbers than the file has, before it takes memory.

    Buffers that are not among the weights, like those of rotary positions, may have as many bytes
    as the weights, or LITTLE: a file that may be read can have holes, but is not longer than that.
    The code of a plugin may not run without memory, so of its networks only blocks are counted.
    """
    blocks = sum(Architecture(spec.architecture).blocks)
    size = sum(tensor.numel() * tensor.element_size() for tensor in weights.values())
    if blocks > max(size / _LEAST_OF_BLOCK, _FEW_BLOCKS):
        raise InputError(
            f"the file says {spec.architecture}, which is {blocks} blocks, but has {size} bytes of "
            "weights; export the network again"
        )
    if any(part.plugin for part in task.trial.components() if part.kind in _BUILDING):
        return
    with _without_memory():
        network = _made(task, spec)
    own = network.state_dict()
    wanted = sum(tensor.numel() for tensor in own.values())
    there = sum(tensor.numel() for tensor in weights.values())
    if wanted > there:
        raise InputError(
            f"the weights are not those of a {task.label} {spec.architecture}: that has {wanted} "
            f"numbers, and the file {there}; export the network again"
        )
    beside = sum(buffer.nbytes for name, buffer in network.named_buffers() if name not in own)
    if beside > max(size, LITTLE):
        raise InputError(
            f"a {task.label} {spec.architecture} of these options has buffers of {beside} bytes "
            f"beside its weights, too many for {size} bytes of weights; export the network again"
        )
