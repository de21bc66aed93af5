"""Optimizers: the steps of plain torch, growth by name, resuming, and gradient clipping."""

import copy
from dataclasses import dataclass, replace
from itertools import chain
from typing import ClassVar

import pytest
import torch
from conftest import first_quick, run, task_of
from torch import nn
from torch.nn import functional as F

from growsearch import InputError, Optimizer, Task, Trainer, TrialConfig, generator, register
from growsearch.epochs.keys import keyed
from growsearch.epochs.store import EpochStore
from growsearch.training.growth import grow
from growsearch.training.state import TrainState, read_state
from growsearch.trial.architecture import Architecture
from growsearch.trial.options import Role

WIDTH, CLASSES = 6, 3
OURS = {
    "sgd": {"nesterov": "on"},
    "adamw": {"beta2": 0.95, "eps": 1e-6},
    "muon": {"momentum": 0.9, "adamw_rate": 0.5},
}
"""Each optimizer, with options that are not its defaults."""


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.wide = nn.Linear(WIDTH, 2 * WIDTH)
        self.narrow = nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x):
        return x + self.narrow(torch.relu(self.wide(self.norm(x))))


class Model(nn.Module):
    def __init__(self, depth: int) -> None:
        super().__init__()
        self.first = nn.Linear(4, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(depth))
        self.last = nn.Linear(WIDTH, CLASSES)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.last(x)


@dataclass(frozen=True, kw_only=True)
class Stepped(Task):
    """Tell three blobs apart."""

    stacks = ("blocks",)
    proposals: ClassVar = {"policy": "fixed", "lr": 0.1, "lr_schedule": "constant"}

    def build(self, architecture):
        return Model(architecture.blocks[0])

    def batches(self, split, seed, epoch):
        draw = generator(seed, epoch, split) if split == "train" else generator(0, 0, split)
        for n in (16, 16, 9):
            labels = torch.randint(CLASSES, (n,), generator=draw)
            yield torch.randn(n, 4, generator=draw) + labels[:, None], labels


@dataclass(frozen=True, kw_only=True)
class Chosen(Stepped):
    """The blobs, by AdamW unless another optimizer is chosen."""

    proposals: ClassVar = {"policy": "none", "optimizer": "adamw", "lr": 0.02}


class Unweighted(nn.Module):
    def forward(self, x):
        return torch.relu(x)


@dataclass(frozen=True, kw_only=True)
class Weightless(Stepped):
    """The blobs, by blocks that have no matrix."""

    def build(self, architecture):
        model = Model(0)
        model.blocks.extend(Unweighted() for _ in range(architecture.blocks[0]))
        return model


@pytest.fixture(autouse=True)
def _tasks(own_registry):
    for task in (Stepped, Chosen, Weightless):
        register("task", task.__name__.lower())(task)


def trial(optimizer: str, **options) -> TrialConfig:
    """A trial of three epochs that grows from 2 to 4 blocks after the first."""
    given = {"architecture": "2", "epochs": 3, "compile": "off", "device": "cpu", **options}
    if given.get("policy", "fixed") == "fixed":
        given = {"growth_epochs": 1, "initializer": "copy", **given}
    return TrialConfig(task="stepped", optimizer=optimizer, **given)


def same(one: nn.Module, other: nn.Module) -> bool:
    both = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in both)


def bare_epoch(network, optimizers, batches, clip_norm=None, score=F.cross_entropy) -> None:
    network.train()
    for inputs, targets in batches:
        for optimizer in optimizers:
            optimizer.zero_grad()
        score(network(inputs), targets).backward()
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(network.parameters(), clip_norm)
        for optimizer in optimizers:
            optimizer.step()


def adamw_of(parameters, lr, decay, **settings):
    every = list(parameters)
    groups = [
        {"params": [p for p in every if p.dim() > 1], "weight_decay": decay},
        {"params": [p for p in every if p.dim() == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, **{"fused": True, **settings})


def plain_sgd(network):
    return [torch.optim.SGD(network.parameters(), 0.05, 0.9, weight_decay=0.01, nesterov=True)]


def plain_adamw(network):
    return [adamw_of(network.parameters(), 0.05, 0.01, betas=(0.9, 0.95), eps=1e-6)]


def plain_muon(network):
    hidden = [p for p in network.blocks.parameters() if p.dim() == 2]
    others = [p for p in network.parameters() if not any(p is h for h in hidden)]
    settings = {"momentum": 0.9, "adjust_lr_fn": "match_rms_adamw", "weight_decay": 0.01}
    return [torch.optim.Muon(hidden, 0.05, **settings), adamw_of(others, 0.025, 0.01)]


PLAIN = {"sgd": plain_sgd, "adamw": plain_adamw, "muon": plain_muon}
"""The optimizers of OURS in plain torch, with a learning rate of 0.05 and a decay of 0.01."""


@pytest.mark.parametrize("clip_norm", [None, 0.3])
@pytest.mark.parametrize("name", PLAIN)
def test_epochs_are_a_bare_loop_with_torchs_own_optimizers_bit_for_bit(name, clip_norm):
    config = trial(
        name, policy="none", lr=0.05, weight_decay=0.01, clip_norm=clip_norm, **OURS[name]
    )
    trainer = Trainer(config)
    first = copy.deepcopy(trainer.state.network)
    network = copy.deepcopy(first)
    optimizers = PLAIN[name](network)
    for epoch in (1, 2):
        next(trainer)
        bare_epoch(network, optimizers, trainer.task.batches("train", 0, epoch), clip_norm)
        assert same(trainer.state.network, network)
    assert not same(network, first)


def test_fused_steps_of_adamw_are_those_of_the_paper_up_to_rounding():
    trainer = Trainer(trial("adamw", policy="none", lr=0.05, weight_decay=0.01))
    network = copy.deepcopy(trainer.state.network)
    optimizer = adamw_of(network.parameters(), 0.05, 0.01, fused=False, foreach=False)
    next(trainer)
    bare_epoch(network, [optimizer], trainer.task.batches("train", 0, 1))
    for one, other in zip(trainer.state.network.parameters(), network.parameters(), strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)


def test_weight_decay_is_of_matrices_or_of_all():
    def decays(**options):
        state = TrainState.initial(task_of(trial("adamw", policy="none", **options)))
        names = {id(p): name for name, p in state.network.named_parameters()}
        return {
            names[id(p)]: group["weight_decay"]
            for group in state.optimizer.param_groups
            for p in group["params"]
        }

    some = decays()
    assert {n for n, decay in some.items() if decay} == {n for n in some if "weight" in n} - {
        n for n in some if "norm" in n
    }
    assert set(some.values()) == {0.01, 0.0}
    assert set(decays(decay_on="all", weight_decay=0.2).values()) == {0.2}


def test_what_has_no_weight_decay_gets_none_when_that_of_the_trial_rises_from_0():
    config = trial("adamw", policy="none", weight_decay=0, optimizer_changes="1:weight_decay=0.3")
    trainer = Trainer(config)
    list(trainer)
    assert [g["weight_decay"] for g in trainer.state.optimizer.param_groups] == [0.3, 0.0]


def test_muon_steps_convolutions_as_matrices_whatever_their_order_in_memory():
    """The networks of images are in channels-last order; the reference flattens by hand."""
    config = TrialConfig(
        optimizer="muon", policy="none", epochs=2, train_size=60, architecture="1-1-1",
        batch_size=32, compile="off", device="cpu", precision="float32", weight_decay=0.01,
    )  # fmt: skip
    trainer = Trainer(config)
    network = copy.deepcopy(trainer.state.network)
    convolutions = [
        p for p in chain(*(s.parameters() for s in network.subnetworks)) if p.dim() == 4
    ]
    assert any(not p.is_contiguous() for p in convolutions)
    others = [p for p in network.parameters() if not any(p is c for c in convolutions)]
    flat = [nn.Parameter(p.detach().reshape(len(p), -1).clone()) for p in convolutions]
    settings = {"adjust_lr_fn": "match_rms_adamw", "weight_decay": 0.01}
    muon, adamw = torch.optim.Muon(flat, 0.001, **settings), adamw_of(others, 0.001, 0.01)
    next(trainer)
    network.train()
    for batch in trainer.task.training_batches(1):
        network.zero_grad()
        trainer.task.score(network, batch)[0].backward()
        for matrix, p in zip(flat, convolutions, strict=True):
            matrix.grad = p.grad.reshape(len(p), -1)
        muon.step()
        adamw.step()
        for matrix, p in zip(flat, convolutions, strict=True):
            p.data.copy_(matrix.detach().view_as(p))
    for one, other in zip(trainer.state.network.parameters(), network.parameters(), strict=True):
        assert torch.equal(one, other)


# growth, resuming, storing


@pytest.mark.parametrize("treated", ["reset", "copy", "halve"])
@pytest.mark.parametrize("name", OURS)
def test_growth_carries_the_state_of_each_optimizer_by_name(name, treated):
    config = trial(name, momentum_on_growth="carry", state_of_copies=treated, **OURS[name])
    task = Trainer(config).task
    state = TrainState.initial(task)
    bare_epoch(state.network, [state.optimizer], task.batches("train", 0, 1))
    grown = grow(state, Architecture("4"), task, epoch=1)
    old = dict(state.network.named_parameters())
    kinds = {"sgd": {"momentum_buffer"}, "adamw": {"step", "exp_avg", "exp_avg_sq"}}
    kinds["muon"] = kinds["sgd"] | kinds["adamw"]
    assert {n for values in state.optimizer.state.values() for n in values} == kinds[name]
    for parameter_name, parameter in grown.network.named_parameters():
        found = grown.optimizer.state.get(parameter, {})
        source = parameter_name
        is_new = False
        if parameter_name.startswith("blocks."):
            _, place, rest = parameter_name.split(".", 2)
            source, is_new = f"blocks.{int(place) // 2}.{rest}", int(place) % 2 == 1
        expected = state.optimizer.state[old[source]]
        if is_new and treated == "reset":
            assert not found
            continue
        assert found.keys() == expected.keys()
        for kind, tensor in expected.items():
            is_halved = is_new and treated == "halve" and kind in ("momentum_buffer", "exp_avg")
            assert torch.equal(found[kind], tensor / 2 if is_halved else tensor)
            assert found[kind] is not tensor
    before = copy.deepcopy(grown.network)
    bare_epoch(grown.network, [grown.optimizer], task.batches("train", 0, 2))
    for (_, one), (n, other) in zip(
        before.named_parameters(), grown.network.named_parameters(), strict=True
    ):
        assert not torch.equal(one, other), n


@pytest.mark.parametrize("name", first_quick([*OURS], 1))
def test_straight_through_is_save_load_and_go_on_and_stored_epochs_are_the_same(name, tmp_path):
    config = trial(
        name, momentum_on_growth="carry", state_of_copies="halve", clip_norm=0.3, **OURS[name]
    )
    straight = Trainer(config)
    records = list(straight)
    assert [record.architecture for record in records] == ["2", "4", "4"]
    for stop in (1, 2):
        trainer = Trainer(config)
        for _ in range(stop):
            next(trainer)
        trainer.save(tmp_path / "state.safetensors")
        resumed = Trainer.load(tmp_path / "state.safetensors")
        assert list(resumed) == records[stop:]
        assert same(resumed.state.network, straight.state.network)
    store = EpochStore(str(tmp_path / "epochs"))
    assert list(Trainer(config, store=store)) == records
    recalled = Trainer(config, store=store)
    for record in records:
        assert next(recalled) == record and recalled.recalled
    longer = replace(config, epochs=4)
    *_, last = Trainer(longer, store=store)
    assert last == list(Trainer(longer))[-1]


# gradient clipping


def test_a_norm_that_is_never_reached_changes_no_bit_and_is_another_key():
    plain, clipped = (Trainer(trial("sgd", clip_norm=norm)) for norm in (None, 1e9))
    assert plain.next_key != clipped.next_key
    list(plain)
    list(clipped)
    assert same(plain.state.network, clipped.state.network)


def after_another_epoch(config: TrialConfig, path) -> nn.Module:
    """The network after an epoch of `config` that follows the state in `path`."""
    _, history, contents = read_state(path)
    trainer = Trainer(config, saved=(history, contents))
    next(trainer)
    return trainer.state.network


@pytest.mark.parametrize(("initializer", "clips"), [("partial", True), ("adam", False)])
def test_epochs_that_train_new_blocks_alone_clip_for_the_trials_optimizer_only(
    initializer, clips, tmp_path
):
    """AutoGrow's Adam is the initializer's own."""
    config = TrialConfig(
        policy="fixed", growth_epochs=1, epochs=3, train_size=60, initializer=initializer,
        architecture="1-1-1", lr=0.1, batch_size=32, compile="off", precision="float32",
    )  # fmt: skip
    trainer = Trainer(config)
    assert next(trainer).grew
    trainer.save(tmp_path / "state.safetensors")
    plain = after_another_epoch(config, tmp_path / "state.safetensors")
    clipped = after_another_epoch(replace(config, clip_norm=1e-4), tmp_path / "state.safetensors")
    assert same(plain, clipped) != clips


# defaults, keys, mistakes


def test_an_optimizer_proposes_a_learning_rate_that_what_is_given_overrules():
    assert TrialConfig().lr == 0.5
    config = TrialConfig(optimizer="adamw")
    assert (config.lr, config.weight_decay, config.epochs) == (1e-3, 0.01, 164)
    assert TrialConfig(optimizer="muon").weight_decay == 0.1
    assert TrialConfig(optimizer="adamw", policy="periodic", network="plain3net").lr == 1e-3
    assert TrialConfig(optimizer="adamw", lr=0.3).lr == 0.3
    assert replace(config, optimizer="sgd").lr == 0.5


def test_a_tasks_learning_rate_is_for_the_optimizer_that_the_task_has_by_itself():
    assert trial("sgd").lr == 0.1
    assert trial("adamw").lr == 1e-3
    chosen = TrialConfig(task="chosen")
    assert (chosen.optimizer.name, chosen.lr, chosen.weight_decay) == ("adamw", 0.02, 0.01)
    assert TrialConfig(task="chosen", optimizer="muon").lr == 1e-3


def test_a_proposal_of_an_optimizer_that_is_no_option_is_told():
    @dataclass(frozen=True, kw_only=True)
    class Misspelt(Optimizer):
        """Proposes what there is not."""

        proposals: ClassVar = {"learning": 1}

        def build(self, parameters, lr, weight_decay): ...

    register("optimizer", "misspelt")(Misspelt)
    with pytest.raises(InputError, match="proposals of optimizer 'misspelt' have 'learning'"):
        TrialConfig(optimizer="misspelt")


def test_options_that_are_newer_than_stores_are_in_no_key_at_their_defaults():
    new = {"nesterov", "beta1", "beta2", "eps", "decay_on", "clip_norm", "ns_steps", "momentum"}
    new |= {"adamw_rate", "muon_scale", "optimizer"}
    roles = (Role.NETWORK, Role.EPOCH)
    assert not new & keyed(TrialConfig(), *roles).keys()
    assert new & keyed(trial("muon"), *roles).keys() == {"optimizer"}
    assert new & keyed(trial("muon", ns_steps=4), *roles).keys() == {"optimizer", "ns_steps"}
    assert TrialConfig().digest == TrialConfig(optimizer="sgd", nesterov="off").digest


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"optimizer": "sgd", "nesterov": "on", "momentum": 0}, "but momentum is 0; give"),
        ({"optimizer": "adamw", "beta1": 1}, "beta1 must be less than 1, but got 1"),
        ({"optimizer": "adamw", "eps": 0}, "eps must be greater than 0, but got 0"),
        ({"optimizer": "muon", "momentum": 1}, "momentum must be less than 1, but got 1"),
        ({"optimizer": "sgd", "beta2": 0.9}, "belongs to optimizer 'adamw' or 'muon'"),
        ({"clip_norm": 0}, "clip_norm must be greater than 0, but got 0"),
    ],
)
def test_a_value_that_an_optimizer_does_not_take_is_told_in_a_line(options, told):
    with pytest.raises(InputError) as error:
        TrialConfig(**options)
    assert told in str(error.value) and "\n" not in str(error.value)


def test_muon_without_a_matrix_in_a_block_is_told():
    config = TrialConfig(task="weightless", optimizer="muon", policy="none", compile="off")
    with pytest.raises(InputError, match="blocks of task 'weightless' have none; choose 'adamw'"):
        Trainer(config)
    with pytest.raises(InputError, match=r"call self\.trial\.optimizer\.build_for"):
        config.optimizer.build([], 0.1, 0.1)


def test_help_has_the_default_of_each_optimizer(capsys):
    code, out, _ = run(capsys, "train", "--help")
    assert code == 0
    shown = " ".join(out.split())
    assert "(default: muon: 0.95; sgd: 0.9)" in shown
    assert "adamw, muon: 0.001" in shown and "--clip-norm" in shown
