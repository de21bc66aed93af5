"""Compiles networks block by block with torch.compile; blocks of equal shape share their code."""

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch

from growsearch.trial.errors import InputError

SHAPES = 256
"""Number of shapes that torch may compile a block for; beyond it torch runs blocks uncompiled."""


@contextmanager
def uncompiled() -> Iterator[None]:
    """Runs networks without compiled code.

    Evaluation uses it, because compiling a network once more for evaluation takes longer than it
    saves.
    """
    if "torch._dynamo" in sys.modules:  # it loads slowly, and until then nothing is compiled
        with torch.compiler.set_stance("force_eager"):
            yield
    else:
        yield


def _compilers() -> list[str]:
    """Names of C++ compilers, of which torch.compile needs one."""
    given = os.environ.get("CXX")
    return [given] if given else ["g++", "clang++"]


def can_compile() -> bool:
    """Whether this machine has a C++ compiler, which `compile_blocks` needs."""
    return any(map(shutil.which, _compilers()))


def check_compiler() -> None:
    """Raises InputError if this machine has no C++ compiler."""
    if not can_compile():
        raise InputError(
            f"compile 'on' needs a C++ compiler, but {_compilers()[0]} is not installed; install "
            "it, or use compile 'off'"
        )


def compile_blocks(blocks: Iterable[torch.nn.Module]) -> None:
    """Makes torch compile each block at its first training step, and again for each input shape.

    Compiled code is for fixed sizes: with symbolic sizes a result would depend on the sizes of
    earlier batches. Raises InputError if there is no C++ compiler.
    """
    import torch._inductor.config as inductor

    check_compiler()
    # otherwise each process times the possible GPU reductions and takes the fastest, so that
    # rounding differs between processes
    inductor.deterministic = True
    torch._dynamo.config.recompile_limit = max(SHAPES, torch._dynamo.config.recompile_limit)
    for block in blocks:
        block.compile(dynamic=False)
