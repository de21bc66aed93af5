"""A training step's gradients: computed as they come, or on a GPU replayed as a CUDA graph.

A small network's kernels are shorter than it takes to launch them; a graph launches all at once.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from growsearch.machine.precision import autocast
from growsearch.machine.processes import ranks
from growsearch.tasks.images.images import Images

WARM_UPS = 3
"""Before recording, so that libraries have made their choices."""

Results = tuple[Tensor, Tensor]
Record = Callable[[Callable[[], Results]], tuple[Results, Callable[[], None]]]
"""Records a computation: its results, and what computes them anew, into the same tensors."""


class Gradients(Protocol):
    def __call__(self, network: nn.Module, batch: Images, precision: str) -> Results:
        """Mean loss, and logits [n, classes]; each parameter's gradient is in its `grad`.

        They hold until the next call.
        """


def eager_gradients(network: nn.Module, batch: Images, precision: str) -> Results:
    """See Gradients."""
    with autocast(precision, batch.images.device):
        logits = network(batch.images)
    loss = F.cross_entropy(logits, batch.labels)
    network.zero_grad()
    loss.backward()
    return loss.detach(), logits.detach()


class CudaGraphs:
    """A Record of the same kernels in the same order.

    Its graphs share memory: what one computes holds until the next is replayed.
    """

    @cached_property
    def stream(self) -> torch.cuda.Stream:
        """Of its own: a stream's graphs share workspaces too, which may end with any of them."""
        return torch.cuda.Stream()

    @cached_property
    def pool(self) -> Any:
        return torch.cuda.graph_pool_handle()

    def __call__(self, work: Callable[[], Results]) -> tuple[Results, Callable[[], None]]:
        here = torch.cuda.current_stream()
        self.stream.wait_stream(here)
        with torch.cuda.stream(self.stream):
            for _ in range(WARM_UPS):
                work()
        here.wait_stream(self.stream)
        graph = torch.cuda.CUDAGraph()
        # of this thread alone: another one may be pinning memory for the next images
        with torch.cuda.graph(graph, self.pool, self.stream, capture_error_mode="thread_local"):
            results = work()
        return results, graph.replay


class _Recorded(NamedTuple):
    batch: Images
    """What replaying reads."""
    results: Results
    gradients: list[Tensor | None]
    replay: Callable[[], None]


class ReplayedGradients:
    """Those of one network that is trained as a whole, recorded once for each size of a batch."""

    def __init__(self, record: Record | None = None) -> None:
        self.record = record or CudaGraphs()
        self._by_size: dict[int, _Recorded] = {}

    def __call__(self, network: nn.Module, batch: Images, precision: str) -> Results:
        """See Gradients."""
        if len(batch) not in self._by_size:
            self._by_size[len(batch)] = self._recorded(network, batch, precision)
        step = self._by_size[len(batch)]
        step.batch.images.copy_(batch.images)
        step.batch.labels.copy_(batch.labels)
        for parameter, gradient in zip(network.parameters(), step.gradients, strict=True):
            parameter.grad = gradient
        step.replay()
        return step.results

    def _recorded(self, network: nn.Module, batch: Images, precision: str) -> _Recorded:
        batch = Images(batch.images.clone(), batch.labels.clone())
        before = [buffer.clone() for buffer in network.buffers()]
        results, replay = self.record(lambda: eager_gradients(network, batch, precision))
        for buffer, value in zip(network.buffers(), before, strict=True):
            buffer.copy_(value)  # warming up is no training
        return _Recorded(batch, results, [p.grad for p in network.parameters()], replay)


def gradients_on(device: torch.device) -> Gradients:
    """For a network there that is trained as a whole."""
    alone = ranks().count == 1  # others are waited for in the backward pass
    return ReplayedGradients() if device.type == "cuda" and alone else eager_gradients
