"""Worker processes, whose results come in the order of their jobs."""

import warnings
from collections.abc import Callable, Generator, Iterable
from typing import Generic, TypeVar

import torch
from torch.utils import data

from growsearch.trial.errors import InputError

J = TypeVar("J")
R = TypeVar("R")


def in_workers(
    work: Callable[[J], R], jobs: Iterable[J], workers: int, pinned: bool = False
) -> Generator[R, None, None]:
    """The result of `work` for each job, in order, computed by `workers` processes.

    Results are tensors or lists of them, in pinned memory if `pinned`. Raises the InputError that
    `work` raises. Closing the generator ends the workers. With 0 workers, this process computes.
    """
    loader = data.DataLoader(
        _Work(work),
        batch_size=None,
        sampler=jobs,
        num_workers=workers,
        pin_memory=pinned,
        generator=torch.Generator(),  # otherwise the loader draws from torch's global state
    )
    # Python 3.12 warns that a process with threads forks
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        results = iter(loader)
    try:
        for result in results:
            if isinstance(result, InputError):
                raise result
            yield result
    finally:
        del results  # ends the workers even if a traceback keeps this frame alive


class _Work(data.Dataset[R | InputError], Generic[J, R]):
    """Calls `work`. It returns an InputError, because the loader would add a traceback to it."""

    def __init__(self, work: Callable[[J], R]) -> None:
        self.work = work

    def __getitem__(self, job: J) -> R | InputError:
        try:
            return self.work(job)
        except InputError as error:
            return error
