"""The one error that is the user's to mend."""


class InputError(ValueError):
    """A value that cannot be used. Its message is one line: the value, the rule, the remedy.

    The command line prints it without a traceback and exits with code 2.
    """


_OUT_OF_MEMORY = (
    "out of memory", "can't allocate memory", "not enough memory", "bad_alloc",
    "STATUS_ALLOC_FAILED", "unable to find an engine",  # cuBLAS, and cuDNN of its workspaces
)  # fmt: skip


def is_out_of_memory(error: BaseException) -> bool:
    """Whether that is what it says: Python, a GPU, and torch's allocator each say it otherwise."""
    return isinstance(error, MemoryError) or any(text in str(error) for text in _OUT_OF_MEMORY)


def one_line(error: BaseException) -> str:
    """What another program's error says, as part of a message of one line."""
    return " ".join(str(error).split()) or type(error).__name__
