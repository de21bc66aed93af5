import gc
import weakref

import pytest
import torch

from growsearch.architecture import Architecture
from growsearch.config import TrialConfig
from growsearch.errors import InputError
from growsearch.growth import grow
from growsearch.trainer import Trainer


@pytest.fixture
def trainer(small):
    trainer = Trainer(TrialConfig(**small))
    next(trainer)
    return trainer


def grown(trainer, architecture="4-4-4"):
    return grow(trainer.state, Architecture(architecture), trainer.config, trainer.dataset, epoch=1)


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
    trainer.state.network.architecture = Architecture("1-1-1")
    with pytest.raises(InputError, match="start from at least 2 blocks"):
        grown(trainer, "2-2-2")
