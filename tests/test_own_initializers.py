"""What an initializer of the user's may do to blocks, and what is refused in a line."""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from growsearch.growth.new_blocks import NewBlocks
from growsearch.trainer import Trainer
from growsearch.trial.components import forgetting, register
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.kinds import Initializer
from growsearch.trial.plugins import load_plugins

EXAMPLE = str(Path(__file__).parents[1] / "examples/mlp.py")


@pytest.fixture
def registered():
    """Registers the initializer "own" with a method of that name."""
    load_plugins([EXAMPLE])

    def made(base=NewBlocks, **methods):
        names = {"__doc__": "Own.", "__annotations__": {}, "__module__": __name__} | methods
        cls = dataclass(frozen=True, kw_only=True)(type("Own", (base,), names))
        register("initializer", "own")(cls)

    with forgetting():
        yield made


def trained(**options):
    chosen = {"task": "rings", "initializer": "own", "growth_epochs": 1, "epochs": 2, "lr": 0.01}
    trainer = Trainer(TrialConfig(**chosen | options, precision="float32", compile="off"))
    records = list(trainer)
    return [(r.key, r.train_loss, r.val_loss) for r in records]


def test_draws_from_global_generators_depend_on_the_seed_alone(registered):
    def initialize(self, block, *, new, step, draw):
        weight = block.linear.weight
        torch.nn.init.kaiming_normal_(weight)
        weight.mul_(random.random() + np.random.rand())

    registered(initialize=initialize)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = trained()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert trained() == first
    assert all(loss == loss for _, *losses in first for loss in losses)  # no NaN
    assert trained(seed=1)[1][1:] != first[1][1:]


def freeze(block):
    block.requires_grad_(False)


def add(block):
    block.gate = torch.nn.Parameter(torch.zeros(1))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (freeze, "'linear.weight' of a block from torch.float32 [32, 32] trained to"),
        (add, "'gate' of a block from missing to torch.float32 [1] trained"),
        (lambda block: block.half(), "'linear.weight' of a block from torch.float32"),
        (
            lambda block: setattr(block, "scale", 0.5),
            "'block.scale' of a block from missing to 0.5",
        ),
        (lambda block: setattr(block, "forward", freeze), "'block.forward' of a block"),
        (lambda block: block.register_forward_hook(print), "from 0 hooks to 1 hooks"),
    ],
)
def test_what_a_resumed_trial_would_not_have_is_refused(registered, change, named):
    registered(initialize=lambda self, block, *, new, step, draw: change(block))
    with pytest.raises(InputError) as caught:
        trained()
    assert named in str(caught.value) and "initializer 'own'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numbers_of_tensors_may_be_changed_in_new_and_in_old_blocks(registered, tmp_path):
    def initialize(self, block, *, new, step, draw):
        block.linear.weight.mul_(0.5)
        if new:
            block.linear = torch.nn.Linear(32, 32)

    registered(initialize=initialize)
    whole = trained(epochs=3)
    config = TrialConfig(
        task="rings", initializer="own", growth_epochs=1, epochs=3, lr=0.01, precision="float32",
        compile="off",
    )  # fmt: skip
    trainer = Trainer(config)
    next(trainer)
    trainer.save(tmp_path / "state.safetensors")
    resumed = Trainer.load(tmp_path / "state.safetensors")
    list(resumed)
    assert [(r.key, r.train_loss, r.val_loss) for r in resumed.history] == whole


@pytest.mark.parametrize(
    ("places", "named"),
    [
        (None, "is a NoneType; return a dict"),
        ([0, 0, 1, 1], "is a list; return a dict"),
        ({j: j for j in range(4)}, "has 2: 2; places are integers from 0 to 3, and old"),
        ({0: -1}, "has 0: -1;"),
        ({0: 0, 1: 1, 9: 1}, "has 9: 1;"),
        ({"0": 0}, "has '0': 0;"),
        ({0: 0.5}, "has 0: 0.5;"),
        ({}, "is {}, without the old block 0; give every old block a place"),
        ({0: 0}, "is {0: 0}, without the old block 1"),
    ],
)
def test_sources_that_are_no_places_or_lose_a_block_are_refused(registered, places, named):
    registered(Initializer, sources=lambda self, blocks, grown: places)
    with pytest.raises(InputError) as caught:
        trained()
    assert f"sources(2, 4) of initializer 'own' {named}" in str(caught.value)


@pytest.mark.parametrize("places", [None, {3: 7}, {9: 0}, {"1": 0}])
def test_copies_that_are_no_places_are_refused(registered, places):
    registered(copies=lambda self, blocks, grown, alike: places)
    with pytest.raises(InputError, match=r"copies\(2, 4\) of initializer 'own'"):
        trained()


def test_step_sizes_before_a_growth_are_1(registered):
    """The seed network has them, and keys of epochs before a growth know no initializer."""
    registered(step_sizes=lambda self, step: (1.0, 0.5 * step))
    with pytest.raises(
        InputError, match=r"step_sizes\(1\.0\) of initializer 'own' is \(1\.0, 0\.5"
    ):
        trained(policy="fixed", task="image-classification", dataset="digits", train_size=100)
