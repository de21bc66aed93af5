"""Networks as programs that run without growsearch: torch.export's and ONNX."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from growsearch.study.model_file import METADATA
from growsearch.trial.errors import InputError, one_line

TOLERANCE = 1e-5
"""By how much a program's logits may differ, absolutely and relatively."""
_BATCHES = (1, 5)
"""A program is checked with batches of these sizes, and takes any."""

_ANY_BATCH = {0: torch.export.Dim("batch", min=1)}

Program = Callable[[Tensor], Tensor]
Inputs = Callable[[int], Tensor]
"""Gives what a network takes, for a number of examples."""


def write_torch_export(path: Path, network: nn.Module, inputs: Inputs, text: str) -> None:
    """Writes a program for `torch.export.load`, with `text` as its file growsearch.json.

    It takes inputs like those that `inputs` gives for a number of examples: of image
    classification normalized images, float32 [batch, channels, height, width], for logits [batch,
    classes]. The batch has any size. Raises InputError if it does not compute what the network
    does.
    """
    network = network.to(memory_format=torch.contiguous_format)
    with _told_if_not_exported("torch-export"):
        program = torch.export.export(
            network, (inputs(2),), dynamic_shapes=(_ANY_BATCH,), strict=False
        )
    unfinished = path.with_name(path.stem + ".unfinished.pt2")
    try:
        torch.export.save(program, unfinished, extra_files={f"{METADATA}.json": text})
        check_program(network, torch.export.load(unfinished).module(), inputs, path)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_onnx(path: Path, network: nn.Module, inputs: Inputs, text: str) -> None:
    """As `write_torch_export`, for ONNX; `text` is an entry of the model's metadata.

    The input is named "images", or "inputs" if it is no image, the output "logits".
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"format 'onnx' needs packages that are not here ({one_line(error)}): pip install "
            "'growsearch[onnx]', or choose format 'torch-export'"
        ) from error
    network = network.to(memory_format=torch.contiguous_format)
    name = "images" if inputs(1).dim() == 4 else "inputs"
    with _told_if_not_exported("onnx"):
        program = torch.onnx.export(
            network, (inputs(2),), dynamo=True, verbose=False,
            input_names=[name], output_names=["logits"],
            dynamic_shapes=(_ANY_BATCH,),
        )  # fmt: skip
    assert program is not None
    program.model.metadata_props[METADATA] = text
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        program.save(unfinished, external_data=False)
        session = onnxruntime.InferenceSession(unfinished, providers=["CPUExecutionProvider"])

        def run(given: Tensor) -> Tensor:
            return torch.from_numpy(session.run(None, {name: given.numpy()})[0])

        check_program(network, run, inputs, path)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _told_if_not_exported(form: str) -> Iterator[None]:
    """InputError for what torch raises about a model of a user that it cannot export."""
    try:
        yield
    except Exception as error:
        raise InputError(
            f"torch cannot export the network as {form!r} ({type(error).__name__}: "
            f"{one_line(error)[:200]}); choose format 'safetensors'"
        ) from error


@torch.no_grad()
def check_program(network: nn.Module, program: Program, inputs: Inputs, path: Path) -> None:
    """Raises InputError if `program` does not give the network's logits for these inputs."""
    for batch in _BATCHES:
        given = inputs(batch)
        expected, found = network(given), program(given)
        if not expected.isfinite().all():
            raise InputError(
                "the network's logits are not finite: its trial diverged; export another one"
            )
        if not torch.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE):
            off = (found - expected).abs().max().item()
            raise InputError(
                f"{str(path)!r} was not kept: its logits differ from the network's by {off:g}, "
                f"more than {TOLERANCE:g}; choose another format"
            )
