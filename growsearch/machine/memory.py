"""How much memory there is, and errors that say that it ran out."""

import os
from contextlib import suppress
from pathlib import Path

from growsearch.trial.errors import InputError

_OUT_OF_MEMORY = (
    "out of memory", "can't allocate memory", "not enough memory", "bad_alloc",
    "STATUS_ALLOC_FAILED", "unable to find an engine",  # cuBLAS; cuDNN for its workspace
)  # fmt: skip


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out, in the words of Python, a GPU or torch."""
    return isinstance(error, MemoryError) or any(text in str(error) for text in _OUT_OF_MEMORY)


def memory_bytes() -> int:
    """The memory of this machine, or what its container may use of it."""
    sizes = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # there is no limit
            sizes.append(int(Path("/sys/fs/cgroup", limit).read_text()))
    return min(sizes)


def check_fits(size: float, what: str, remedy: str) -> None:
    """InputError if `size` bytes, which `what` takes at least, are more than there are."""
    if size > (there := memory_bytes()):
        raise InputError(
            f"{what} takes about {size / 1e9:,.0f} GB, and this machine has {there / 1e9:,.0f} GB; "
            f"{remedy}"
        )
