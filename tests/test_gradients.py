"""Replayed gradients: as a CUDA graph where there is a GPU, and everywhere as a stand-in, which
reads and writes the same tensors each time, as a graph does.
"""

import pytest
import torch
from conftest import first_quick

from growsearch.trainer import Trainer
from growsearch.training import state as train_state
from growsearch.training.gradients import CudaGraphs, ReplayedGradients, eager_gradients
from growsearch.trial.config import TrialConfig


def stand_in(network, others):
    """`others` are the tensors of those recorded so far, whose memory each replay writes over."""

    def record(work):
        for _ in range(3):
            work()
        results = work()
        written = [parameter.grad for parameter in network.parameters()]
        others.append([*results, *filter(torch.is_tensor, written)])

        def replay():
            for tensors in others:
                for tensor in tensors:
                    tensor.fill_(torch.nan)
            for mine, new in zip(results, work(), strict=True):
                mine.copy_(new)
            for parameter, mine in zip(network.parameters(), written, strict=True):
                mine.copy_(parameter.grad)
                parameter.grad = mine

        return results, replay

    return record


class StandIn(ReplayedGradients):
    def __init__(self):
        super().__init__()
        self.memory = []

    def __call__(self, network, batch, precision):
        self.record = stand_in(network, self.memory)
        return super().__call__(network, batch, precision)


ON_GPU = pytest.param(
    "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")
)


@pytest.mark.parametrize("device", ["cpu", ON_GPU])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_replayed_steps_train_like_those_computed_as_they_come(small, device, precision):
    """Batches of 128 and 72, three epochs: weights, statistics, losses and logits."""
    states, results = [], []
    for gradients in (eager_gradients, StandIn() if device == "cpu" else ReplayedGradients()):
        trainer = Trainer(TrialConfig(**small, device=device, precision=precision))
        state, seen = trainer.state, []
        state.network.train()
        for epoch in (1, 2, 3):
            for batch in trainer.dataset.training_batches(128, seed=0, epoch=epoch):
                loss, logits = gradients(state.network, batch, precision)
                state.optimizer.step()
                seen += [loss.clone(), logits.clone()]
        states.append(state)
        results.append(seen)
    assert len(results[0]) == 3 * 2 * 2
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)
    one, other = (state.network.state_dict() for state in states)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("initializer", first_quick(["clone", "adam", "partial"], 1))
def test_a_trial_whose_steps_are_replayed_has_the_same_records(small, initializer, monkeypatch):
    """It grows twice, each time into a network that is recorded anew."""
    config = TrialConfig(**small, initializer=initializer, device="cpu")
    straight = list(Trainer(config))
    assert sum(record.grew for record in straight) == 2
    made = []
    monkeypatch.setattr(
        train_state, "gradients_on", lambda device: made.append(StandIn()) or made[-1]
    )
    assert list(Trainer(config)) == straight
    assert len(made) == 3


def test_a_cuda_graph_is_what_a_gpu_gets():
    record = train_state.gradients_on(torch.device("cuda")).record
    assert isinstance(record, CudaGraphs)
    assert train_state.gradients_on(torch.device("cpu")) is eager_gradients
