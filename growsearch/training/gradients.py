"""The gradients of a training step: computed eagerly, or on a GPU replayed as a CUDA graph.

A kernel of a small network takes less time than its launch. A graph launches all kernels at once.
"""

import logging
import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from growsearch.machine.batches import form, mapped, size, tensors
from growsearch.machine.precision import autocast
from growsearch.machine.processes import ranks
from growsearch.machine.randomness import GlobalStates
from growsearch.tasks.first_look import check_loss
from growsearch.tasks.task import Task
from growsearch.trial.errors import one_line

WARM_UPS = 3
"""Eager steps before recording, in which libraries choose their algorithms."""

Results = tuple[Tensor, Tensor | None]
Record = Callable[[Callable[[], Results]], tuple[Results, Callable[[], None]]]
"""Records a computation. Returns its results, and a function that computes them again into the same
tensors."""

_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_LOG = logging.getLogger("growsearch")


class Gradients(Protocol):
    def __call__(self, task: Task, network: nn.Module, batch: Any) -> Results:
        """Mean loss, and how many examples are right if the task says that; see Task.score.

        Each parameter's gradient is in its `grad`. They hold until the next call.
        """


def eager_gradients(task: Task, network: nn.Module, batch: Any) -> Results:
    """See Gradients."""
    network.zero_grad()  # first, so that the forward pass can have their memory
    with autocast(task.trial.precision, task.device):
        loss, correct = task.score(network, batch)
    check_loss(task, loss)
    loss.backward()
    return loss.detach(), correct


class CudaGraphs:
    """A Record that replays the same kernels in the same order.

    Its graphs share memory: the results of one are valid until the next one is replayed.
    """

    @cached_property
    def stream(self) -> torch.cuda.Stream:
        """A stream for these graphs alone: all graphs of a stream share workspaces, which may be
        freed with any of them."""
        return torch.cuda.Stream()

    @cached_property
    def pool(self) -> Any:
        return torch.cuda.graph_pool_handle()

    def __call__(self, work: Callable[[], Results]) -> tuple[Results, Callable[[], None]]:
        here = torch.cuda.current_stream()
        with torch.cuda.stream(here):  # a recording that fails can leave another stream current
            self.stream.wait_stream(here)
            with torch.cuda.stream(self.stream):
                for _ in range(WARM_UPS):
                    work()
            here.wait_stream(self.stream)
            graph = torch.cuda.CUDAGraph()
            # only this thread is recorded: another one may pin memory for the next images
            with torch.cuda.graph(graph, self.pool, self.stream, capture_error_mode="thread_local"):
                results = work()
        return results, graph.replay


class _Recorded(NamedTuple):
    batch: Any
    """The input of the graph: replaying reads its tensors."""
    results: Results
    gradients: list[Tensor | None]
    replay: Callable[[], None]

    def replayed(self, network: nn.Module, batch: Any) -> Results:
        for mine, given in zip(tensors(self.batch), tensors(batch), strict=True):
            mine.copy_(given)
        for parameter, gradient in zip(network.parameters(), self.gradients, strict=True):
            parameter.grad = gradient
        self.replay()
        return self.results


class ReplayedGradients:
    """Gradients of one network, all of which is trained; recorded once for each form of a batch.

    The first batch of a form is computed eagerly. Its step is then recorded, and replayed on the
    same batch as a check. If that raises, or differs in one bit of loss, score, gradients or
    buffers, one warning says so, and this network's gradients are eager from then on. So they are
    if a step draws random numbers on the CPU, because a replay would have the recorded ones. The
    check leaves parameters, buffers, gradients and the GPU's generator as the eager step left them:
    a trial that resumes records again, and must draw what it would have drawn.
    """

    def __init__(self, record: Record | None = None) -> None:
        self.record = record or CudaGraphs()
        self.refusal: str | None = None
        """Why the gradients are eager, if they are."""
        self._by_form: dict[Hashable, _Recorded] = {}

    def __call__(self, task: Task, network: nn.Module, batch: Any) -> Results:
        """See Gradients."""
        if self.refusal is not None:
            return eager_gradients(task, network, batch)
        recorded = self._by_form.get(form(batch))
        if recorded is None:
            return self._first(task, network, batch)
        return recorded.replayed(network, batch)

    def _first(self, task: Task, network: nn.Module, batch: Any) -> Results:
        """The gradients of the first batch of a form."""
        drawn = GlobalStates.now()
        before = {name: buffer.clone() for name, buffer in network.named_buffers()}
        # eager first: if memory is too small for a step, this raises the usual error; if it is too
        # small for the graph alone, training goes on without the graph
        results = eager_gradients(task, network, batch)
        expected, after = _step(network, results), GlobalStates.now()
        if after.processor != drawn.processor:
            self.refusal = "draws random numbers on the CPU"
            self._refuse(batch)
            return results
        try:
            recorded = self._recorded(task, network, batch)
            _put(network.named_buffers(), before)
            drawn.restore_gpu()
            found = _step(network, recorded.replayed(network, batch))
            self.refusal = _difference(expected, found)
            self._by_form[form(batch)] = recorded
        except Exception as error:  # drivers and libraries raise many types
            self.refusal = f"cannot be recorded ({one_line(error)[:200]})"
        finally:
            _put(network.named_buffers(), expected)
            for name, parameter in network.named_parameters():
                parameter.grad = expected.get(_gradient(name))
            after.restore_gpu()
        if self.refusal is not None:
            self._refuse(batch)
        return results

    def _refuse(self, batch: Any) -> None:
        self._by_form.clear()  # their memory is free again
        _LOG.warning(
            "a training step of %d examples %s; training goes on without graphs",
            size(batch), self.refusal,
        )  # fmt: skip

    def _recorded(self, task: Task, network: nn.Module, batch: Any) -> _Recorded:
        """Records with zero weights and a zero batch, so that the check finds a graph that does not
        read the present ones."""
        weights = {name: weight.detach().clone() for name, weight in network.named_parameters()}
        zeros = mapped(batch, torch.zeros_like)
        try:
            _put(network.named_parameters(), {name: torch.zeros(()) for name in weights})
            results, replay = self.record(lambda: eager_gradients(task, network, zeros))
        finally:
            _put(network.named_parameters(), weights)
        return _Recorded(zeros, results, [p.grad for p in network.parameters()], replay)


def _gradient(name: str) -> str:
    return f"gradient of {name}"


def _step(network: nn.Module, results: Results) -> dict[str, Tensor]:
    """All tensors that a step of `network` has written, by name; buffers are copied."""
    written = {"loss": results[0]}
    if results[1] is not None:
        written["correct"] = results[1]
    for name, parameter in network.named_parameters():
        if parameter.grad is not None:
            written[_gradient(name)] = parameter.grad
    return written | {name: buffer.clone() for name, buffer in network.named_buffers()}


@torch.no_grad()
def _put(named: Iterable[tuple[str, Tensor]], values: Mapping[str, Tensor]) -> None:
    for name, tensor in named:
        tensor.copy_(values[name])


def _difference(expected: dict[str, Tensor], found: dict[str, Tensor]) -> str | None:
    """How many tensors differ in a bit, and the largest difference; None if none differs."""
    gaps = {}
    for name in expected | found:
        if name not in expected or name not in found:
            gaps[name] = math.inf
        elif not torch.equal(_bits(expected[name]), _bits(found[name])):
            gap = (expected[name].double() - found[name].double()).abs()
            gaps[name] = gap.nan_to_num(math.inf, math.inf).max().item()
    if not gaps:
        return None
    most = max(gaps, key=lambda name: gaps[name])
    differ = f"{len(gaps)} of {len(expected)} tensors differ"
    return f"is replayed wrongly ({differ}, {most} the most, by {gaps[most]:.3g})"


def _bits(tensor: Tensor) -> Tensor:
    return tensor.view(_INTEGERS[tensor.element_size()])


def gradients_on(device: torch.device) -> Gradients:
    """The gradients of a network on `device`, all of which is trained."""
    alone = ranks().count == 1  # with several processes, the backward pass waits for the others
    return ReplayedGradients() if device.type == "cuda" and alone else eager_gradients
