"""Training steps by torch.compile, block by block: what serves one serves all of its shape."""

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch

from growsearch.trial.errors import InputError

SHAPES = 256
"""Of blocks and batches that are compiled, before torch would go on without."""


@contextmanager
def as_written() -> Iterator[None]:
    """Within it nothing compiled is used: to evaluate is not worth compiling networks once more."""
    if "torch._dynamo" in sys.modules:  # without it nothing is compiled, and loading it takes long
        with torch.compiler.set_stance("force_eager"):
            yield
    else:
        yield


def _compilers() -> list[str]:
    """For C++; one of them is needed."""
    given = os.environ.get("CXX")
    return [given] if given else ["g++", "clang++"]


def can_compile() -> bool:
    """Whether there is a C++ compiler, as `compile_blocks` needs."""
    return any(map(shutil.which, _compilers()))


def check_compiler() -> None:
    """InputError where there is none."""
    if not can_compile():
        raise InputError(
            f"compile 'on' needs a C++ compiler, but {_compilers()[0]} is not installed; install "
            "it, or use compile 'off'"
        )


def compile_blocks(blocks: Iterable[torch.nn.Module]) -> None:
    """Compile each block when it is first trained, anew for each shape of its input.

    Sizes are never symbolic: what a batch came to would depend on the batches before.
    """
    import torch._inductor.config as inductor

    check_compiler()
    # else a GPU's reductions are those that a measurement finds fastest, each time anew
    inductor.deterministic = True
    torch._dynamo.config.recompile_limit = max(SHAPES, torch._dynamo.config.recompile_limit)
    for block in blocks:
        block.compile(dynamic=False)
