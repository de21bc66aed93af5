"""One large trial on several processes, which torchrun starts, each with its own GPU or cores.

Each process trains and evaluates its share of the images. Losses and accuracies are computed over
all shares, so every process has the same values and takes the same decisions.
"""

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from growsearch.machine.memory import is_out_of_memory
from growsearch.trial.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """The processes of a trial: their count, and the rank of this one, from 0."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and prints."""
        return self.rank == 0

    def share(self, n: int) -> Tensor:
        """Indices, int64, of this process's share of `n` images."""
        return torch.arange(self.rank, n, self.count)

    def check(self, batch_size: int, images: int) -> None:
        """Raises InputError if a process gets fewer than two images of the last training batch."""
        least = min(batch_size, images % batch_size or images) // self.count
        if self.count > 1 and least < 2:
            raise InputError(
                f"batch_size={batch_size} leaves {least} of {images} training images for one of "
                f"{self.count} processes in the last batch, but batch normalization needs two; "
                "change batch_size or train_size"
            )

    def together(self, network: nn.Module) -> nn.Module:
        """`network`, wrapped so that its gradients are the mean over all processes.

        Copies the first process's weights to the others.
        """
        if self.count == 1:
            return network
        # training does not read running statistics: same_statistics copies them once an epoch
        return DistributedDataParallel(network, broadcast_buffers=False)

    def total(self, summed: Tensor) -> Tensor:
        """The sum of `summed` over the processes, which replaces its values."""
        if self.count > 1:
            distributed.all_reduce(summed)
        return summed

    def same(self, value: T) -> T:
        """The first process's `value`."""
        if self.count == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values)
        return values[0]

    def all_or_none(self, work: Callable[[], T]) -> T:
        """The result of `work`, in which processes must not wait for each other.

        If memory runs out in one process, every process raises an out-of-memory error.
        """
        if self.count == 1:
            return work()
        made, error = None, None
        try:
            made = work()
        except (RuntimeError, MemoryError) as raised:
            if not is_out_of_memory(raised):
                raise
            error = raised
        short: list[bool] = [False] * self.count
        distributed.all_gather_object(short, error is not None)
        if any(short):
            raise error or MemoryError(f"out of memory on process {short.index(True)}")
        assert made is not None
        return made

    def same_statistics(self, network: nn.Module) -> None:
        """Copies the first process's running statistics to the others."""
        if self.count > 1:
            for buffer in network.buffers():
                distributed.broadcast(buffer, 0)

    @contextmanager
    def first_before(self) -> Iterator[None]:
        """The first process runs the body before the others, so that they find its downloads."""
        if not self.first:
            distributed.barrier()
        yield
        if self.first and self.count > 1:
            distributed.barrier()


def ranks() -> Ranks:
    """The processes of torch.distributed's group; this process alone if there is no group."""
    if distributed.is_available() and distributed.is_initialized():
        return Ranks(distributed.get_rank(), distributed.get_world_size())
    return Ranks()


@contextmanager
def joined() -> Iterator[Ranks]:
    """Joins the process group for the body, if torchrun has started this process."""
    if not (distributed.is_available() and distributed.is_torchelastic_launched()):
        yield Ranks()
        return
    # Optimizers import this module. If the group existed by then, modules that it loads would keep
    # the group's threads alive, and these sometimes abort the process when it ends.
    import_module("torch._dynamo")
    cuda = torch.cuda.is_available()
    if cuda and (mine := int(os.environ["LOCAL_RANK"])) < torch.cuda.device_count():
        torch.cuda.set_device(mine)
    # CPU tensors use gloo on GPU machines too: it waits longer for a download than NCCL does
    distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
    yield ranks()
    gc.collect()  # wrapped networks are in reference cycles and keep the group alive
    distributed.destroy_process_group()
