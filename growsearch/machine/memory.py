"""Whether an error says that memory ran out."""

_OUT_OF_MEMORY = (
    "out of memory", "can't allocate memory", "not enough memory", "bad_alloc",
    "STATUS_ALLOC_FAILED", "unable to find an engine",  # cuBLAS, and cuDNN of its workspaces
)  # fmt: skip


def is_out_of_memory(error: BaseException) -> bool:
    """Whether that is what it says: Python, a GPU, and torch's allocator each say it otherwise."""
    return isinstance(error, MemoryError) or any(text in str(error) for text in _OUT_OF_MEMORY)
