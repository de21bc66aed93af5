"""Replayed gradients: CUDA graphs on a GPU, and on every machine a stand-in for them.

Like a graph, the stand-in reads and writes the same tensors at each replay.
"""

import copy
import math
import re

import pytest
import torch
from conftest import first_quick, task_of

from growsearch.machine.randomness import seeded
from growsearch.tasks.images.images import Images
from growsearch.tasks.images.networks import build_network
from growsearch.tasks.images.task import ImageTask
from growsearch.trainer import Trainer
from growsearch.training import state as train_state
from growsearch.training.gradients import CudaGraphs, ReplayedGradients, eager_gradients
from growsearch.trial.architecture import Architecture
from growsearch.trial.components import components
from growsearch.trial.config import TrialConfig

TASK = task_of(TrialConfig(precision="float32"))
WITHOUT = "training goes on without graphs"


def stand_in(network, others):
    """Each replay overwrites `others`, the tensors of all recordings so far."""

    def record(work):
        for _ in range(3):
            work()
        results = work()
        written = [parameter.grad for parameter in network.parameters()]
        others.append([*results, *filter(torch.is_tensor, written)])

        def replay():
            for tensors in others:
                for tensor in tensors:
                    tensor.fill_(torch.nan if tensor.is_floating_point() else -1)
            for mine, new in zip(results, work(), strict=True):
                mine.copy_(new)
            for parameter, mine in zip(network.parameters(), written, strict=True):
                mine.copy_(parameter.grad)
                parameter.grad = mine

        return results, replay

    return record


class StandIn(ReplayedGradients):
    """`fault` takes the network and a record function, and gives one that is at fault."""

    def __init__(self, fault=lambda network, record: record):
        super().__init__()
        self.memory, self.fault = [], fault

    def __call__(self, task, network, batch):
        self.record = self.fault(network, stand_in(network, self.memory))
        return super().__call__(task, network, batch)


def also(change):
    """A fault: each replay changes something more."""

    def fault(network, record):
        def faulty(work):
            results, replay = record(work)

            def replay_and_change():
                replay()
                with torch.no_grad():
                    change(network, results)

            return results, replay_and_change

        return faulty

    return fault


def next_float(tensor):
    """One rounding further, in one element."""
    first = (0,) * tensor.ndim
    tensor[first] = torch.nextafter(tensor[first], torch.tensor(math.inf))


def stale(network, record):
    """Replaying does nothing: what was computed when it was recorded stays."""

    def faulty(work):
        results, _ = record(work)
        return results, lambda: None

    return faulty


def deaf(network, record):
    """Replaying computes with the weights that there were when it was recorded."""

    def faulty(work):
        before = [p.detach().clone() for p in network.parameters()]
        results, replay = record(work)

        def replay_with_them():
            now = [p.detach().clone() for p in network.parameters()]
            with torch.no_grad():
                for parameter, value in zip(network.parameters(), before, strict=True):
                    parameter.copy_(value)
                with torch.enable_grad():
                    replay()
                for parameter, value in zip(network.parameters(), now, strict=True):
                    parameter.copy_(value)

        return results, replay_with_them

    return faulty


def raising(error, after=True):
    def fault(network, record):
        def faulty(work):
            if after:
                record(work)
            raise error

        return faulty

    return fault


FAULTS = {
    "a gradient": (also(lambda n, _: next_float(n.classifier.weight.grad)), "1 of .*weight the"),
    "a convolution's": (also(lambda n, _: next_float(n.stem[0].weight.grad)), "stem.0.weight the"),
    "no gradient": (also(lambda n, _: setattr(n.classifier.bias, "grad", None)), "bias .* by inf"),
    "a statistic": (also(lambda n, _: next_float(n.stem[1].running_mean)), "stem.1.running_mean"),
    "a count": (also(lambda n, _: n.stem[1].num_batches_tracked.add_(1)), "tracked the .* by 1\\)"),
    "the loss": (also(lambda _, results: next_float(results[0])), "loss the most"),
    "the score": (also(lambda _, results: results[1].add_(1)), "correct the most, by 1\\)"),
    "not a number": (also(lambda _, results: results[0].fill_(math.nan)), "loss .* by inf"),
    "stale": (stale, "tensors differ"),
    "deaf": (deaf, "tensors differ"),
    "refused": (
        raising(RuntimeError("CUDA error:\nno"), after=False),
        "recorded \\(CUDA error: no",
    ),
    "broken off": (raising(RuntimeError("capture")), "cannot be recorded \\(capture\\)"),
    "memory": (raising(torch.OutOfMemoryError("CUDA out of memory. Tried 2")), "out of memory"),
}
"""What can go wrong in recording or replaying, and what the warning says of it."""


ON_GPU = pytest.param(
    "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")
)


@pytest.mark.parametrize("device", ["cpu", ON_GPU])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_replayed_steps_train_like_those_computed_as_they_come(small, device, precision):
    """Compares weights, statistics, losses and scores; batches have 128 and 72 images."""
    states, results = [], []
    for gradients in (eager_gradients, StandIn() if device == "cpu" else ReplayedGradients()):
        trainer = Trainer(TrialConfig(**small, device=device, precision=precision))
        state, seen = trainer.state, []
        state.network.train()
        for epoch in (1, 2, 3):
            for batch in trainer.task.dataset.training_batches(128, seed=0, epoch=epoch):
                loss, correct = gradients(trainer.task, state.network, batch)
                state.optimizer.step()
                seen += [loss.clone(), correct.clone()]
        states.append(state)
        results.append(seen)
    assert len(results[0]) == 3 * 2 * 2
    assert gradients.refusal is None
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)
    one, other = (state.network.state_dict() for state in states)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("initializer", first_quick(["zero", "partial", "adam"], 0, slow=1))
def test_a_trial_whose_steps_are_replayed_has_the_same_records(small, initializer, monkeypatch):
    """The trial grows twice; each grown network is recorded again. Its gradients are clipped."""
    options = small | {"architecture": "1-1-1", "initializer": initializer, "clip_norm": 0.5}
    config = TrialConfig(**options, device="cpu")
    straight = list(Trainer(config))
    assert sum(record.grew for record in straight) == 2
    made = []
    monkeypatch.setattr(
        train_state, "gradients_on", lambda device: made.append(StandIn()) or made[-1]
    )
    assert list(Trainer(config)) == straight
    assert len(made) == 3


def step_of(network, batch, gradients):
    """Copies of all that a step has written, and of the weights."""
    results = gradients(TASK, network, batch)
    written = [*results, *network.parameters(), *network.buffers()]
    return [t.detach().clone() for t in written] + [p.grad.clone() for p in network.parameters()]


@pytest.fixture
def network():
    return build_network("basic3resnet", Architecture("1-1-1"), (1, 8, 8), 10, seed=0)


@pytest.fixture
def batch():
    draw = torch.Generator().manual_seed(0)
    return Images(torch.randn(8, 1, 8, 8, generator=draw), torch.arange(8))


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_changes_nothing_and_a_fault_is_told_once(network, batch, fault, caplog):
    """Two steps, the second on other images: all that they write is the eager step's."""
    faulty, told = FAULTS[fault]
    twin, gradients = copy.deepcopy(network), StandIn(faulty)
    for images in (batch, Images(batch.images.flip(0), batch.labels)):
        expected = step_of(twin, images, eager_gradients)
        for a, b in zip(step_of(network, images, gradients), expected, strict=True):
            assert torch.equal(a, b)
    (warning,) = caplog.messages
    assert re.search(told, warning)
    assert warning.startswith("a training step of 8 examples ") and warning.endswith(WITHOUT)


def test_an_honest_replay_passes_the_check_on_a_network_that_has_diverged(network, batch, caplog):
    with torch.no_grad():
        network.classifier.bias.fill_(math.nan)
    gradients = StandIn()
    loss, _ = gradients(TASK, network, batch)
    assert loss.isnan()
    assert (gradients.refusal, caplog.messages) == (None, [])


@pytest.mark.parametrize("fault", first_quick(["a gradient", "memory", "a statistic"], 0, slow=1))
def test_a_trial_whose_graphs_are_at_fault_has_the_records_of_one_without(
    small, fault, monkeypatch, caplog
):
    """It warns once for each of its three networks, not for each of the two sizes of batches."""
    options = small | {"architecture": "1-1-1", "initializer": "zero"}
    config = TrialConfig(**options, device="cpu")
    straight = list(Trainer(config))
    faulty, told = FAULTS[fault]
    monkeypatch.setattr(train_state, "gradients_on", lambda device: StandIn(faulty))
    assert list(Trainer(config)) == straight
    assert len(caplog.messages) == 3
    assert all(re.search(told, warning) for warning in caplog.messages)


def test_a_step_that_is_itself_beyond_memory_raises_and_nothing_is_recorded(batch, caplog):
    class TooLarge(torch.nn.Module):
        def forward(self, images):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    def record(work):
        raise AssertionError("recorded")

    gradients = ReplayedGradients(record)
    with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"):
        gradients(TASK, TooLarge(), batch)
    assert (gradients.refusal, caplog.messages) == (None, [])


@pytest.mark.parametrize("device", ["cpu", ON_GPU])
def test_random_numbers_of_a_step_are_those_of_eager_steps(network, batch, device, caplog):
    """On a GPU they are replayed. Those drawn on the CPU would be the recorded ones for ever."""
    network = torch.nn.Sequential(network, torch.nn.Dropout(0.5)).to(device)
    batch = Images(batch.images.to(device), batch.labels.to(device))
    twin, seen = copy.deepcopy(network), []
    gradients = StandIn() if device == "cpu" else ReplayedGradients()
    for one, way in ((twin, eager_gradients), (network, gradients)):
        with seeded(0):
            seen.append([t for _ in range(3) for t in step_of(one, batch, way)])
            seen[-1].append(torch.rand(1, device=device))
    assert all(torch.equal(a, b) for a, b in zip(*seen, strict=True))
    told = "a training step of 8 examples draws random numbers on the CPU; " + WITHOUT
    assert caplog.messages == ([told] if device == "cpu" else [])


class Tempered(ImageTask):
    """Its batches also have a number."""

    def score(self, model, batch):
        images, temperature = batch
        return super().score(torch.nn.Sequential(model, Divided(temperature)), images)


class Divided(torch.nn.Module):
    def __init__(self, by):
        super().__init__()
        self.by = by

    def forward(self, logits):
        return logits / self.by


def test_numbers_of_a_batch_that_are_no_tensors_are_not_those_of_another(network, batch):
    task = Tempered(**TASK.values()).of(TASK.trial)
    twin, gradients = copy.deepcopy(network), StandIn()
    for temperature in (1.0, 2.0, 1.0):
        given = batch, temperature
        found = gradients(task, network, given)[0]
        assert torch.equal(found, eager_gradients(task, twin, given)[0])
    assert gradients.refusal is None


@pytest.mark.parametrize("family", components("network"))
@pytest.mark.parametrize("device", ["cpu", ON_GPU])
def test_a_recorded_step_of_every_family_passes_the_check(family, device, caplog):
    network = build_network(
        family, Architecture([1] * components("network")[family].subnetworks), (3, 16, 16), 10, 0
    )
    network.to(device, memory_format=torch.channels_last)
    draw = torch.Generator().manual_seed(0)
    images, labels = torch.randn(8, 3, 16, 16, generator=draw), torch.arange(8)
    gradients = StandIn() if device == "cpu" else ReplayedGradients()
    gradients(TASK, network, Images(images.to(device), labels.to(device)))
    assert caplog.messages == []


def test_a_cuda_graph_is_what_a_gpu_gets():
    record = train_state.gradients_on(torch.device("cuda")).record
    assert isinstance(record, CudaGraphs)
    assert train_state.gradients_on(torch.device("cpu")) is eager_gradients
