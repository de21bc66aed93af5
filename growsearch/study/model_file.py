"""A network in a file of its own: weights as safetensors, everything else as JSON beside them.

The metadata of the file has one entry, "growsearch", of JSON: what the network is made of, how
images are normalized for it, what accuracy was recorded, and each number that it computes with
besides its weights. No code is read from such a file, and none is run.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from growsearch.growth.step_sizes import STEP_SIZES, StepSize
from growsearch.trial.architecture import Architecture
from growsearch.trial.components import components
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError, one_line
from growsearch.trial.trial_options import flat

if TYPE_CHECKING:
    from torch import Tensor, nn

METADATA = "growsearch"
"""Key of the JSON text in the metadata of an exported file of any format."""


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
        """The inverse of `to_dict`, from JSON."""
        return cls(
            options=dict(values["options"]),
            plugins=dict(values["plugins"]),
            architecture=str(values["architecture"]),
            steps=tuple((float(i), float(e)) for i, e in values["steps"]),
            facts=dict(values["facts"]),
        )


_BUILDING = ("task", "dataset", "network")
"""Kinds of the components that build networks."""


def rebuilt(spec: NetworkSpec, weights: Mapping[str, "Tensor"]) -> "nn.Module":
    """The network of `spec` with its weights, on the CPU, in evaluation mode.

    The only place where a recorded network is built again. Raises InputError if its components are
    not known here, or the weights are not those of such a network.
    """
    task = spec.trial.task
    steps = [StepSize(*step) for step in spec.steps]
    try:
        network = task.rebuilt(Architecture(spec.architecture), spec.facts, steps)
    except InputError:
        raise
    except Exception as error:  # a task's own code may raise anything
        if task.plugin:
            raise InputError(
                f"{task.label} cannot build a network without its data ({type(error).__name__}: "
                f"{one_line(error)[:200]}); define facts() and rebuilt(architecture, facts, steps)"
            ) from error
        if not isinstance(error, KeyError | TypeError | ValueError):
            raise
        raise InputError(
            f"the network cannot be made of damaged metadata ({type(error).__name__}: "
            f"{one_line(error)[:200]}); export the network again"
        ) from error
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(
            f"the weights are not those of a {task.label} {spec.architecture} "
            f"({one_line(error)[:300]}); export the network again"
        ) from error
    return network.requires_grad_(False).eval()


def constants(network: "nn.Module") -> dict[str, float]:
    """The numbers that the modules compute with besides weights: eps and step sizes, by name."""
    return dict(_constants(network))


def _constants(network: "nn.Module") -> Iterator[tuple[str, float]]:
    for name, module in network.named_modules():
        if isinstance(eps := getattr(module, "eps", None), float):
            yield f"{name}.eps", eps
        if isinstance(step := getattr(module, "step", None), StepSize):
            yield f"{name}.step.implicit", float(step.implicit)
            yield f"{name}.step.explicit", float(step.explicit)


@dataclass(frozen=True)
class ModelFile:
    """An exported network, as `read_model` finds it."""

    network: "nn.Module"
    """On the CPU, in evaluation mode."""
    spec: NetworkSpec
    about: Mapping[str, Any]
    """The whole metadata."""


def write_model(
    path: Path, network: "nn.Module", spec: NetworkSpec, about: Mapping[str, Any]
) -> None:
    """Writes the file, whole or not at all. `about` are more facts of the network, for its JSON."""
    import torch
    from safetensors.torch import save_file

    weights = {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in network.state_dict().items()
    }
    if any(step != (1, 1) for step in spec.steps):
        # so that a network without them does not take these weights for its own
        weights[STEP_SIZES] = torch.tensor(spec.steps, dtype=torch.float64)
    unfinished = path.with_name(path.name + ".unfinished")
    save_file(weights, unfinished, {METADATA: metadata_text(network, spec, about)})
    os.replace(unfinished, path)


def metadata_text(network: "nn.Module", spec: NetworkSpec, about: Mapping[str, Any]) -> str:
    """The JSON of an exported file."""
    return json.dumps({"format": 1, **spec.to_dict(), "constants": constants(network), **about})


def read_model(path: str | Path) -> ModelFile:
    """The network of a file that `growsearch export` wrote.

    Raises InputError for any other file, and if the network would not compute what it did.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise InputError(
            f"there is no file {str(path)!r}; give the .safetensors file that growsearch export "
            "wrote"
        )
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(METADATA)
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{str(path)!r} is not a file of weights ({one_line(error)[:200]}); give the "
            ".safetensors file that growsearch export wrote"
        ) from error
    if text is None:
        raise InputError(
            f"{str(path)!r} has weights but does not say of which network; give the .safetensors "
            "file that growsearch export wrote"
        )
    try:
        about = json.loads(text)
        spec, expected = NetworkSpec.from_dict(about), dict(about["constants"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{str(path)!r} has damaged metadata ({type(error).__name__}: "
            f"{one_line(error)[:200]}); export the network again"
        ) from error
    network = rebuilt(spec, weights)
    found = constants(network)
    if found != expected:
        name = next(n for n in {**expected, **found} if found.get(n) != expected.get(n))
        raise InputError(
            f"{str(path)!r} says {name} = {expected.get(name)}, but this growsearch computes with "
            f"{found.get(name)}; load it with growsearch {about.get('growsearch')}, which wrote it"
        )
    return ModelFile(network, spec, about)


def load_network(file: str | Path) -> "nn.Module":
    """The network of a file that `growsearch export` wrote, on the CPU, in evaluation mode.

    It takes normalized images, float32 [batch, channels, height, width], and gives logits
    [batch, classes]. Raises InputError for any other file, and if the network would not compute
    what it did.
    """
    return read_model(file).network
