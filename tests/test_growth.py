import gc
import json
import weakref

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from growsearch.trainer import Trainer
from growsearch.training.growth import grow
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError


@pytest.fixture
def trainer(small):
    trainer = Trainer(TrialConfig(**small))
    next(trainer)
    return trainer


def grown(trainer, architecture="4-4-4"):
    return grow(trainer.state, Architecture(architecture), trainer.task, epoch=1)


def test_every_parameter_of_the_grown_network_is_in_the_optimizer_once(trainer):
    state = grown(trainer)
    optimized = [id(p) for group in state.optimizer.param_groups for p in group["params"]]
    assert sorted(optimized) == sorted(map(id, state.network.parameters()))


def test_the_optimizer_is_the_papers_and_starts_without_momentum(trainer):
    for state in (trainer.state, grown(trainer)):
        (group,) = state.optimizer.param_groups
        settings = {k: group[k] for k in ("momentum", "weight_decay", "nesterov", "dampening")}
        assert settings == {
            "momentum": 0.9, "weight_decay": 2e-4, "nesterov": False, "dampening": 0
        }  # fmt: skip
    assert trainer.state.optimizer.state
    assert not grown(trainer).optimizer.state


def test_clones_train_apart_after_growth(small):
    trainer = Trainer(TrialConfig(**small))
    for record in trainer:
        if record.epoch == 3:
            break
    one, two = trainer.state.network.blocks[1][2:4]
    assert not torch.allclose(one.conv1.weight, two.conv1.weight)


def test_the_singular_vectors_follow_their_blocks(trainer):
    state = grown(trainer)
    convs = {f"subnetworks.{i}.{j}.conv{k}" for i in range(3) for j in range(4) for k in (1, 2)}
    assert set(state.lipschitz_vectors) == convs
    old, new = trainer.state.lipschitz_vectors, state.lipschitz_vectors
    assert torch.equal(new["subnetworks.2.3.conv1"], old["subnetworks.2.1.conv1"])


def test_the_old_network_is_freed_when_a_trial_has_grown(small):
    trainer = Trainer(TrialConfig(**small))
    old = weakref.ref(trainer.state.network)
    for record in trainer:
        if record.grew:
            break
    gc.collect()
    assert old() is None


def test_a_seed_of_one_block_cannot_be_cloned(small):
    trainer = Trainer(TrialConfig(policy="fixed", growth_epochs=1, epochs=2, train_size=100))
    trainer.state.architecture = Architecture("1-1-1")
    with pytest.raises(InputError, match="start from at least 2 blocks"):
        grown(trainer, "2-2-2")


@pytest.mark.filterwarnings("ignore:Warning. Profiler clears events")  # from torch 2.11
@pytest.mark.parametrize("options", [
    {}, {"initializer": "default", "momentum_on_growth": "carry"}, {"momentum_on_growth": "carry"}
])  # fmt: skip
def test_growing_allocates_one_copy_of_the_new_state(small, options, tmp_path):
    """Measured with torch's profiler; at most the largest tensor may exist twice."""
    trainer = Trainer(TrialConfig(**small, **options))
    next(trainer)
    assert trainer.state.architecture == Architecture("2-2-2")
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        state = grown(trainer, "2-2-40")
    seen.export_chrome_trace(str(tmp_path / "trace.json"))
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    now = most = 0
    for event in sorted((e for e in events if e["name"] == "[memory]"), key=lambda e: e["ts"]):
        now += event["args"]["Bytes"]
        most = max(most, now)
    momenta = [m for s in state.optimizer.state.values() for m in s.values() if m is not None]
    tensors = [*state.network.state_dict().values(), *state.lipschitz_vectors.values(), *momenta]
    sizes = [tensor.nbytes for tensor in tensors]
    assert sum(sizes) <= now <= most <= sum(sizes) + max(sizes)
