"""Networks as programs that run without growsearch: torch.export's and ONNX."""

import os
from collections.abc import Callable
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


def write_torch_export(
    path: Path, network: nn.Module, shape: tuple[int, int, int], text: str
) -> None:
    """Writes a program for `torch.export.load`, with `text` as its file growsearch.json.

    It takes normalized images, float32 [batch, *shape], and gives logits [batch, classes]; the
    batch has any size. Raises InputError if it does not compute what the network does.
    """
    network = network.to(memory_format=torch.contiguous_format)
    program = torch.export.export(
        network, (torch.zeros(2, *shape),), dynamic_shapes=(_ANY_BATCH,), strict=False
    )
    unfinished = path.with_name(path.stem + ".unfinished.pt2")
    try:
        torch.export.save(program, unfinished, extra_files={f"{METADATA}.json": text})
        check_program(network, torch.export.load(unfinished).module(), shape, path)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_onnx(path: Path, network: nn.Module, shape: tuple[int, int, int], text: str) -> None:
    """As `write_torch_export`, for ONNX; `text` is an entry of the model's metadata.

    The input is named "images", the output "logits".
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
    program = torch.onnx.export(
        network, (torch.zeros(2, *shape),), dynamo=True, verbose=False,
        input_names=["images"], output_names=["logits"],
        dynamic_shapes=(_ANY_BATCH,),
    )  # fmt: skip
    assert program is not None
    program.model.metadata_props[METADATA] = text
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        program.save(unfinished, external_data=False)
        session = onnxruntime.InferenceSession(unfinished, providers=["CPUExecutionProvider"])

        def run(images: Tensor) -> Tensor:
            return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])

        check_program(network, run, shape, path)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


@torch.no_grad()
def check_program(
    network: nn.Module, program: Program, shape: tuple[int, int, int], path: Path
) -> None:
    """Raises InputError if `program` does not give the network's logits for drawn images."""
    draw = torch.Generator().manual_seed(0)
    for batch in _BATCHES:
        images = torch.randn(batch, *shape, generator=draw)
        expected, found = network(images), program(images)
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
