"""One large trial on several processes, each with a GPU of its own or cores: torchrun starts them.

Each trains and evaluates its share of the images. What follows from all of them, losses,
accuracies and so each decision to grow, is the same on every one.
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
    """The processes of a trial: how many, and which of them this one is."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """The one that writes and shows."""
        return self.rank == 0

    def share(self, n: int) -> Tensor:
        """The indices, of n images, that are this process's."""
        return torch.arange(self.rank, n, self.count)

    def check(self, batch_size: int, images: int) -> None:
        """InputError if one of several has too few of so many training images."""
        least = min(batch_size, images % batch_size or images) // self.count
        if self.count > 1 and least < 2:
            raise InputError(
                f"batch_size={batch_size} leaves {least} of {images} training images for one of "
                f"{self.count} processes in the last batch, and batch normalization needs two; "
                "change batch_size or train_size"
            )

    def together(self, network: nn.Module) -> nn.Module:
        """`network`, whose gradients are then the mean over the processes.

        Its weights are made the first one's.
        """
        if self.count == 1:
            return network
        # running statistics are not used in training; same_statistics is once an epoch
        return DistributedDataParallel(network, broadcast_buffers=False)

    def total(self, summed: Tensor) -> Tensor:
        """The sum over the processes."""
        if self.count > 1:
            distributed.all_reduce(summed)
        return summed

    def same(self, value: T) -> T:
        """The first one's."""
        if self.count == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values)
        return values[0]

    def all_or_none(self, work: Callable[[], T]) -> T:
        """What `work`, in which no process waits for another, gives.

        Where memory runs out on one of them it has run out on all.
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
        """Make the running statistics the first one's."""
        if self.count > 1:
            for buffer in network.buffers():
                distributed.broadcast(buffer, 0)

    @contextmanager
    def first_before(self) -> Iterator[None]:
        """The first does this before the others, which find what it has downloaded."""
        if not self.first:
            distributed.barrier()
        yield
        if self.first and self.count > 1:
            distributed.barrier()


def ranks() -> Ranks:
    """Those of torch.distributed's process group, if this process is in one."""
    if distributed.is_available() and distributed.is_initialized():
        return Ranks(distributed.get_rank(), distributed.get_world_size())
    return Ranks()


@contextmanager
def joined() -> Iterator[Ranks]:
    """Within it this process is in the group that torchrun has started it for, if it has."""
    if not (distributed.is_available() and distributed.is_torchelastic_launched()):
        yield Ranks()
        return
    # optimizers import it, and with it modules that would keep the group, whose threads then abort
    # the process at its end now and then
    import_module("torch._dynamo")
    cuda = torch.cuda.is_available()
    if cuda and (mine := int(os.environ["LOCAL_RANK"])) < torch.cuda.device_count():
        torch.cuda.set_device(mine)
    # beside a GPU too, what is on CPUs goes by gloo, which waits for a download longer than NCCL
    distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
    yield ranks()
    gc.collect()  # wrapped networks are in cycles, and keep the group as well
    distributed.destroy_process_group()
