"""Recognizes errors that say that memory ran out."""

_OUT_OF_MEMORY = (
    "out of memory", "can't allocate memory", "not enough memory", "bad_alloc",
    "STATUS_ALLOC_FAILED", "unable to find an engine",  # cuBLAS; cuDNN for its workspace
)  # fmt: skip


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out, in the words of Python, a GPU or torch."""
    return isinstance(error, MemoryError) or any(text in str(error) for text in _OUT_OF_MEMORY)
