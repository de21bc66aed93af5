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
from typing import TYPE_CHECKING, Any, Self, cast

from growsearch.tasks.images.blocks import StepSize
from growsearch.tasks.images.facts import ImageFacts
from growsearch.tasks.images.networks import STEP_SIZES, build_network
from growsearch.training.state import step_sizes
from growsearch.trial.architecture import Architecture
from growsearch.trial.components import components
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError, one_line
from growsearch.trial.kinds import Family

if TYPE_CHECKING:
    from torch import Tensor, nn

METADATA = "growsearch"
"""Key of the JSON text in the metadata of an exported file of any format."""


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """All that a network is made of but its weights."""

    network: str
    """The family's name."""
    options: Mapping[str, Any]
    """The family's options."""
    plugin: str | None
    """A hash of the user's file that the family comes from; None for growsearch's own."""
    architecture: str
    steps: tuple[tuple[float, float], ...]
    """Implicit and explicit step size of each sub-network's blocks: see StepSize."""
    facts: ImageFacts

    @classmethod
    def of(cls, config: TrialConfig, architecture: str, facts: ImageFacts) -> Self:
        """The network of `architecture` that the trial of `config` comes to."""
        steps = step_sizes(config, Architecture(architecture))
        return cls(
            network=config.network.name,
            options=config.network.values(),
            plugin=config.network.plugin,
            architecture=architecture,
            steps=tuple((step.implicit, step.explicit) for step in steps),
            facts=facts,
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`, from JSON."""
        return cls(
            network=str(values["network"]),
            options=dict(values["options"]),
            plugin=values["plugin"],
            architecture=str(values["architecture"]),
            steps=tuple((float(i), float(e)) for i, e in values["steps"]),
            facts=ImageFacts.from_dict(values["facts"]),
        )


def rebuilt(spec: NetworkSpec, weights: Mapping[str, "Tensor"]) -> "nn.Module":
    """The network of `spec` with its weights, on the CPU, in evaluation mode.

    The only place where a recorded network is built again. Raises InputError if the family is not
    known here, or the weights are not those of such a network.
    """
    import torch

    family = _family(spec)
    network = build_network(
        family, Architecture(spec.architecture), spec.facts.image_shape, spec.facts.classes, 0,
        steps=[StepSize(*step) for step in spec.steps],
    )  # fmt: skip
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(
            f"the weights are not those of a {spec.network} {spec.architecture} "
            f"({one_line(error)[:300]}); export the network again"
        ) from error
    # the order in which sums are added, as in training
    network.to(memory_format=torch.channels_last)
    return network.requires_grad_(False).eval()


def _family(spec: NetworkSpec) -> Family:
    known = components("network")
    if spec.network not in known:
        raise InputError(
            f"network {spec.network!r} is not known here; it is a plugin's, or a newer "
            "growsearch's: load it with --plugin FILE (in Python: growsearch.load_plugins([FILE]))"
        )
    if known[spec.network].plugin != spec.plugin:
        raise InputError(
            f"network {spec.network!r} was made by another version of its plugin; load that one "
            "with --plugin FILE (in Python: growsearch.load_plugins([FILE]))"
        )
    try:
        return cast(Family, known[spec.network](**spec.options))
    except TypeError as error:
        raise InputError(
            f"network {spec.network!r} has no such options here ({one_line(error)}); load it with "
            "the growsearch that wrote it"
        ) from error


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
    except (ValueError, KeyError, TypeError, AttributeError) as error:
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
