"""Work for processes, whose results come in order."""

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
    """What `work` makes of each job. Raises its InputError; closed, it ends the workers.

    Results are tensors, pinned if that is asked for, or lists of them.
    """
    loader = data.DataLoader(
        _Work(work),
        batch_size=None,
        sampler=jobs,
        num_workers=workers,
        pin_memory=pinned,
        generator=torch.Generator(),  # the seeds that it draws for workers are not used
    )
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        results = iter(loader)  # Python 3.12 warns of forks beside threads
    try:
        for result in results:
            if isinstance(result, InputError):
                raise result
            yield result
    finally:
        del results  # ends the workers, even while an error's traceback has this frame


class _Work(data.Dataset[R | InputError], Generic[J, R]):
    """What a worker does. An error is handed over: raised, it would arrive with a traceback."""

    def __init__(self, work: Callable[[J], R]) -> None:
        self.work = work

    def __getitem__(self, job: J) -> R | InputError:
        try:
            return self.work(job)
        except InputError as error:
            return error
