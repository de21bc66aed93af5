"""A network in a file of its own: weights as safetensors, everything else as JSON beside them.

The metadata of the file has one entry, "growsearch", of JSON: what the network is made of, how
images are normalized for it, what accuracy was recorded, and each number that it computes with
besides its weights. No code is read from such a file, and none is run.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from growsearch.growth.step_sizes import STEP_SIZES, StepSize
from growsearch.machine.bounds import check_on_disk
from growsearch.machine.files import replacing
from growsearch.study.network_spec import NetworkSpec, rebuilt
from growsearch.trial.errors import InputError, one_line

if TYPE_CHECKING:
    from torch import nn

METADATA = "growsearch"
"""Key of the JSON text in the metadata of an exported file of any format."""


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
    """Writes the file, whole or not at all. `about` are more facts of the network, for its JSON.

    Raises InputError if it cannot be written.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    weights = {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in network.state_dict().items()
    }
    if any(step != (1, 1) for step in spec.steps):
        # so that a network without them does not take these weights for its own
        weights[STEP_SIZES] = torch.tensor(spec.steps, dtype=torch.float64)
    try:
        with replacing(path) as unfinished:
            save_file(weights, unfinished, {METADATA: metadata_text(network, spec, about)})
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{str(path)!r} cannot be written ({one_line(error)[:200]}); make room, or choose "
            "another --out"
        ) from error


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
        with Path(path).open("rb") as content:
            check_on_disk(content)
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
    except (
        ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError
    ) as error:  # fmt: skip
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
