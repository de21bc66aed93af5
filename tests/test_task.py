"""Tasks of a user's own: training and growth equal plain torch, and mistakes are told in a line."""

import copy
import math
import random
from collections import Counter
from dataclasses import dataclass, replace
from itertools import count
from typing import ClassVar

import numpy as np
import pytest
import torch
from conftest import first_quick, run
from torch import nn
from torch.nn import functional as F

from growsearch import InputError, Task, Trainer, TrialConfig, generator, option, register
from growsearch.epochs.store import EpochStore
from growsearch.machine.batches import shared
from growsearch.machine.randomness import derived_seed
from growsearch.study.folder import create_study
from growsearch.study.results import read_histories, read_study, write_trial
from growsearch.study.summary import summarize
from growsearch.study.terminal import trial_summary
from growsearch.tasks.scores import macs_of
from growsearch.training.growth import grow
from growsearch.trial import components as registry
from growsearch.trial.architecture import Architecture
from growsearch.trial.components import components
from growsearch.trial.history import History
from growsearch.trial.options import Role

WIDTH, CLASSES, LENGTH = 6, 3, 5
SIZES = {"train": (16, 16, 9), "val": (16, 3), "test": (7,)}
"""Examples of each batch. Last batches are smaller, so means over batches are not right."""
LOADED = Counter()
"""How often `load` of a task was called, by data_dir."""


class Residual(nn.Module):
    """x + norm(relu(linear(x))), with running statistics."""

    def __init__(self, index: int, dropout: float) -> None:
        super().__init__()
        self.index = index
        self.linear = nn.Linear(WIDTH, WIDTH)
        self.norm = nn.BatchNorm1d(WIDTH)
        self.drop = nn.Dropout(dropout)

    def forward(self, x):
        return x + self.drop(self.norm(torch.relu(self.linear(x))))

    def silence_residual(self) -> None:
        self.norm.weight.zero_()
        self.norm.bias.zero_()

    def scale_residual(self, step: float) -> None:
        self.norm.weight.mul_(step)
        self.norm.bias.mul_(step)

    @property
    def last_normalization(self) -> nn.Module:
        return self.norm


class MLP(nn.Module):
    def __init__(self, depth: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Linear(4, WIDTH)
        self.blocks = nn.ModuleList(Residual(i, dropout) for i in range(depth))
        self.last = nn.Linear(WIDTH, CLASSES)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.last(x)


def drawn_by(split: str, seed: int, epoch: int, name: str) -> torch.Generator:
    """Only training data depend on the trial's seed and the epoch."""
    of = (seed, epoch) if split == "train" else (0, 0)
    return generator(*of, f"{name} {split}")


@dataclass(frozen=True, kw_only=True)
class Blobs(Task):
    """Tell three blobs apart."""

    stacks = ("blocks",)
    residual = True
    proposals: ClassVar = {"policy": "fixed", "lr": 0.1, "lr_schedule": "constant"}
    blob_dropout: float = option(0.0, "share of outputs that are dropped", least=0, most=1)

    def build(self, architecture):
        return MLP(architecture.blocks[0], self.blob_dropout)

    def batches(self, split, seed, epoch):
        draw = drawn_by(split, seed, epoch, "blobs")
        for n in SIZES[split]:
            labels = torch.randint(CLASSES, (n,), generator=draw)
            yield torch.randn(n, 4, generator=draw) + labels[:, None], labels


@dataclass(frozen=True, kw_only=True)
class Adam(Blobs):
    """The blobs, with Adam and without weight decay on biases and normalizations."""

    splits = ("train", "val", "test")

    def optimizer(self, model):
        return adam(model, self.trial.lr, self.trial.weight_decay)


def adam(model: nn.Module, lr: float, weight_decay: float) -> torch.optim.Optimizer:
    decayed = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0, "lr": 2 * lr},
    ]
    return torch.optim.Adam(groups, lr=lr)


class Mixer(nn.Module):
    """A layer of a transformer, with the mean of all tokens so far in place of attention."""

    def __init__(self, layer_idx: int) -> None:
        super().__init__()
        self.layer_idx = layer_idx
        self.norm = nn.LayerNorm(WIDTH)
        self.mix = nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        counts = torch.arange(1, x.shape[1] + 1)[:, None]
        return x + self.mix(self.norm(x).cumsum(dim=1) / counts)


class Decoder(nn.Module):
    def __init__(self, depth: int) -> None:
        super().__init__()
        self.transformer = nn.ModuleDict({
            "embedding": nn.Embedding(CLASSES, WIDTH),
            "h": nn.ModuleList(Mixer(i) for i in range(depth)),
        })  # fmt: skip
        self.head = nn.Linear(WIDTH, CLASSES, bias=False)
        self.head.weight = self.transformer["embedding"].weight

    def forward(self, tokens):
        x = self.transformer["embedding"](tokens)
        for layer in self.transformer["h"]:
            x = layer(x)
        return self.head(x)


@dataclass(frozen=True, kw_only=True)
class Tokens(Task):
    """Predict the next token."""

    stacks = ("transformer.h",)
    proposals: ClassVar = {"policy": "fixed", "lr": 0.1, "lr_schedule": "constant"}

    def build(self, architecture):
        return Decoder(architecture.blocks[0])

    def batches(self, split, seed, epoch):
        draw = drawn_by(split, seed, epoch, "tokens")
        for n in SIZES[split]:
            steps = torch.randint(1, CLASSES, (n, 1), generator=draw)
            text = (torch.arange(LENGTH + 1) * steps) % CLASSES
            yield text[:, :-1], text[:, 1:]

    def optimizer(self, model):
        return adam(model, self.trial.lr, self.trial.weight_decay)


@dataclass(frozen=True, kw_only=True)
class Regression(Blobs):
    """Predict a number: a task with a loss of its own."""

    def loss(self, model, batch):
        inputs, labels = batch
        return F.mse_loss(model(inputs)[:, 0], labels.float())


@dataclass(frozen=True, kw_only=True)
class Measured(Regression):
    """A loss of its own, and an accuracy that only evaluation gives."""

    has_accuracy = True

    def evaluate(self, model, split):
        return {"loss": 1.0, "accuracy": 50.0}


@dataclass(frozen=True, kw_only=True)
class Evaluated(Blobs):
    """The blobs, with an evaluation of its own."""

    splits = ("train", "val", "test")
    has_accuracy = True

    def load(self, data_dir):
        LOADED[data_dir] += 1
        return {"classes": CLASSES}

    def evaluate(self, model, split):
        assert self.loaded == {"classes": CLASSES}
        ((inputs, labels),) = list(self.batches(split, 0, 0))[:1]
        logits = model(inputs)
        wrong = (logits.argmax(1) != labels).sum().item()
        loss = F.cross_entropy(logits, labels)
        accuracy = 100 * (1 - wrong / len(labels))
        return {"loss": loss, "accuracy": accuracy, "wrong": wrong, "perplexity": loss.exp()}


TASKS = (Blobs, Adam, Tokens, Regression, Measured, Evaluated)


@pytest.fixture(autouse=True, scope="module")
def _tasks():
    """The tasks are known in this module alone."""
    for kind in registry.EVERY_KIND:
        components(kind)
    before = {kind: dict(known) for kind, known in registry._REGISTRY.items()}
    for task in TASKS:
        register("task", task.__name__.lower())(task)
    yield
    registry._REGISTRY.clear()
    registry._REGISTRY.update(before)


def trial(task: str = "blobs", **options: object) -> TrialConfig:
    """A trial of three epochs that grows from 3 to 5 blocks after the first."""
    given = {"architecture": "3", "epochs": 3, "compile": "off", "device": "cpu", **options}
    if given.get("policy", "fixed") == "fixed":
        given = {"growth_epochs": 1, "growth_architectures": "5", **given}
        given = {"initializer": "default", "placement": "between", **given}
        if given["initializer"] == "clone":
            del given["placement"]
    return TrialConfig(task=task, **given)


def faulty(**members: object) -> type[Task]:
    """Registers the task "faulty": the blobs with other members."""
    made = type("Faulty", (Blobs,), {"__module__": __name__, **members})
    registry._REGISTRY["task"].pop("faulty", None)
    return register("task", "faulty")(dataclass(frozen=True, kw_only=True)(made))


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# training


@pytest.mark.parametrize("task", ["blobs", "tokens"])
def test_loss_and_accuracy_are_those_of_plain_torch_over_all_examples(task):
    trainer = Trainer(trial(task, policy="none"))
    record = next(trainer)
    pairs = trainer.task.batches("val", 0, 0)
    inputs, targets = (torch.cat(tensors) for tensors in zip(*pairs, strict=True))
    with torch.no_grad():
        logits = trainer.state.network.eval()(inputs).double()
    expected = F.cross_entropy(logits.reshape(-1, CLASSES), targets.reshape(-1)).item()
    assert record.val_loss == pytest.approx(expected, rel=1e-5)
    right = (logits.argmax(dim=-1) == targets).double().mean().item()
    assert record.val_accuracy == pytest.approx(100 * right, abs=1e-4)


def bare_epoch(network, optimizer, batches) -> tuple[float, float]:
    """Trains for an epoch; the mean loss, and accuracy in percent."""
    loss_sum, right, count = 0.0, 0.0, 0
    network.train()
    for inputs, targets in batches:
        logits = network(inputs)
        loss = F.cross_entropy(logits.reshape(-1, CLASSES), targets.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * len(inputs)
        right += (logits.argmax(dim=-1) == targets).float().mean().item() * len(inputs)
        count += len(inputs)
    return loss_sum / count, 100 * right / count


@pytest.mark.parametrize("task", ["blobs", "adam", "tokens"])
def test_an_epoch_is_a_bare_loop_of_pytorch_bit_for_bit(task):
    config = trial(task, policy="none", weight_decay=0.01)
    trainer = Trainer(config)
    network = copy.deepcopy(trainer.state.network)
    sgd = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
    is_sgd = task == "blobs"
    optimizer = torch.optim.SGD(network.parameters(), **sgd) if is_sgd else adam(network, 0.1, 0.01)
    for epoch in (1, 2):
        record = next(trainer)
        batches = trainer.task.batches("train", config.seed, epoch)
        loss, accuracy = bare_epoch(network, optimizer, batches)
        assert same(trainer.state.network.state_dict(), network.state_dict())
        assert record.train_loss == pytest.approx(loss, rel=1e-6)
        assert record.train_accuracy == pytest.approx(accuracy, abs=1e-4)


def test_a_mean_over_batches_of_losses_in_bfloat16_is_not_rounded_to_it():
    """A loss of squares stays in bfloat16, where 255 examples times 1.0078125 are 256."""

    def loss(self, model, batch):
        (inputs, _) = batch
        return (model(inputs) * 0).sum().bfloat16() + torch.tensor(1.0078125).bfloat16()

    def batches(self, split, seed, epoch):
        yield torch.ones(255, 4), torch.zeros(255, dtype=torch.long)

    faulty(loss=loss, batches=batches)
    record = next(Trainer(trial("faulty", policy="none", epochs=1, precision="bfloat16")))
    assert (record.train_loss, record.val_loss) == (1.0078125, 1.0078125)


def test_a_batch_of_fewer_examples_than_processes_is_told():
    batch = {"x": torch.arange(3), "scale": torch.tensor(2.0)}
    shares = [shared(batch, (i, 3)) for i in range(3)]
    assert [share["x"].tolist() for share in shares] == [[0], [1], [2]]
    with told(InputError, "batch of 3 examples", "among 4 processes"):
        shared(batch, (0, 4))


def test_the_cost_counts_parameters_once_and_multiplications_by_hand():
    """Each token: two matrices of a layer's 6x6, and the head's 6x3 that is the embedding's."""
    record = next(Trainer(trial("tokens", policy="none", architecture="2")))
    assert record.parameters == CLASSES * WIDTH + 2 * (WIDTH**2 + WIDTH + 2 * WIDTH)
    assert record.macs == LENGTH * (2 * WIDTH**2 + WIDTH * CLASSES)
    assert record.train_flops == 6 * record.macs * sum(SIZES["train"])


def test_a_schedule_multiplies_the_rates_of_each_group():
    """The second group has twice the learning rate and no weight decay."""
    changes = ("1:lr=0.05", "1:weight_decay=0.03")
    trainer = Trainer(trial("adam", policy="none", weight_decay=0.01, optimizer_changes=changes))
    list(trainer)
    first, second = trainer.state.optimizer.param_groups
    assert (first["lr"], first["weight_decay"]) == (0.05, 0.03)
    assert (second["lr"], second["weight_decay"]) == (0.1, 0.0)


def test_an_epoch_leaves_the_global_generators_alone_and_does_not_read_them():
    records = []
    for seed in (1, 2):
        random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
        before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
        records.append(list(Trainer(trial(blob_dropout=0.5))))
        assert random.getstate() == before[0]
        assert np.random.get_state()[1].tolist() == before[1]
        assert torch.equal(torch.get_rng_state(), before[2])
    assert records[0] == records[1]


def test_dropout_is_drawn_from_the_seed():
    one, same_seed, other = (
        list(Trainer(trial(blob_dropout=0.5, seed=seed))) for seed in (0, 0, 1)
    )
    assert one == same_seed
    assert [r.train_loss for r in one] != [r.train_loss for r in other]


# growth

KEPT = {
    "between": (0, None, 1, None, 2),
    "end": (0, 1, 2, None, None),
    "middle": (0, 1, None, None, 2),
    "start": (0, None, None, 1, 2),
}
"""Which of 3 old blocks stands at each of 5 places."""
COPIED = {
    "between": (0, 0, 1, 1, 2),
    "end": (0, 1, 2, 2, 2),
    "middle": (0, 1, 1, 1, 2),
    "start": (0, 0, 0, 1, 2),
}
"""With copies in the new places."""
CLONED = (0, 1, 1, 2, 2)
"""Place i stands at 3i/5 = 0, 0.6, 1.2, 1.8, 2.4: the nearest old block, never the first again."""


def grown_by(initializer: str, placement: str = "between", task: str = "blobs", **options):
    """Trainer after an epoch, its state, and the state grown to 5 blocks."""
    trainer = Trainer(
        trial(
            task, initializer=initializer, placement=placement, growth_epochs=2,
            momentum_on_growth="carry", **options,
        )
    )  # fmt: skip
    next(trainer)
    state = trainer.state
    return trainer, state, grow(state, Architecture("5"), trainer.task, epoch=1)


def as_built(trainer: Trainer) -> dict[str, torch.Tensor]:
    """The weights of a new network of 5 blocks."""
    with torch.random.fork_rng():
        torch.manual_seed(derived_seed(trainer.config.seed, 1, "weights"))
        return trainer.task.build(Architecture("5")).state_dict()


def expected_weights(trainer, state, sources, stack="blocks", change=lambda tensor: tensor):
    """Old weights by name; blocks whose source is None as built, and normalizations changed."""
    old, found = state.network.state_dict(), as_built(trainer)
    for name in found:
        if not name.startswith(f"{stack}."):
            found[name] = old[name]
            continue
        place, _, rest = name.removeprefix(f"{stack}.").partition(".")
        source = sources[int(place)]
        if source is not None:
            found[name] = old[f"{stack}.{source}.{rest}"]
    return {name: change(name, tensor) for name, tensor in found.items()}


@pytest.mark.parametrize("placement", KEPT)
@pytest.mark.parametrize("initializer", ["default", "partial", "zero", "copy"])
def test_growth_carries_parameters_and_buffers_by_name(initializer, placement):
    trainer, state, grown = grown_by(initializer, placement)
    sources = (COPIED if initializer == "copy" else KEPT)[placement]

    def change(name: str, tensor: torch.Tensor) -> torch.Tensor:
        parts = name.split(".")
        silenced = initializer == "zero" and parts[0] == "blocks"
        silenced = silenced and sources[int(parts[1])] is None
        is_last = name.endswith(("norm.weight", "norm.bias"))
        return torch.zeros_like(tensor) if silenced and is_last else tensor

    expected = expected_weights(trainer, state, sources, change=change)
    assert same(grown.network.state_dict(), expected)
    assert expected["blocks.0.norm.running_mean"].abs().sum() > 0
    assert expected["blocks.0.norm.num_batches_tracked"] == len(SIZES["train"])
    if initializer == "zero":
        ((inputs, _),) = list(trainer.task.batches("val", 0, 0))[:1]
        assert torch.equal(grown.network.eval()(inputs), state.network.eval()(inputs))


class Scaled(nn.ModuleList):
    """A list with a parameter and a buffer of its own."""

    def __init__(self, blocks) -> None:
        super().__init__(blocks)
        self.scale = nn.Parameter(torch.rand(2))
        self.register_buffer("seen", torch.rand(2))


def test_tensors_of_the_list_itself_are_carried():
    def build(self, architecture):
        model = MLP(architecture.blocks[0], 0.0)
        model.blocks = Scaled(model.blocks)
        return model

    faulty(build=build)
    _, state, grown = grown_by("copy", task="faulty")
    before, after = state.network.state_dict(), grown.network.state_dict()
    for name in ("blocks.scale", "blocks.seen", "first.weight"):
        assert torch.equal(after[name], before[name])


@pytest.mark.parametrize("initializer", ["gaussian", "adam"])
def test_a_last_normalization_may_have_no_bias(initializer):
    class Scale(Residual):
        def __init__(self, index: int, dropout: float) -> None:
            super().__init__(index, dropout)
            self.norm = nn.LayerNorm(WIDTH, bias=False)

    def build(self, architecture):
        model = MLP(architecture.blocks[0], 0.0)
        model.blocks = nn.ModuleList(Scale(i, 0.0) for i in range(len(model.blocks)))
        return model

    faulty(build=build)
    records = list(Trainer(trial("faulty", initializer=initializer)))
    assert records[-1].architecture == "5" and math.isfinite(records[-1].val_loss)


def test_clones_have_scaled_residuals_and_the_state_of_what_they_clone():
    trainer, state, grown = grown_by("clone")

    def change(name: str, tensor: torch.Tensor) -> torch.Tensor:
        return tensor * 0.6 if name.endswith(("norm.weight", "norm.bias")) else tensor

    assert same(grown.network.state_dict(), expected_weights(trainer, state, CLONED, change=change))
    assert_states(state, grown, CLONED)


def test_blocks_are_those_of_a_freshly_built_network():
    """Their indices count on, whatever block they come from."""
    for initializer in ("copy", "clone", "default"):
        _, _, grown = grown_by(initializer)
        assert [block.index for block in grown.network.blocks] == [0, 1, 2, 3, 4]
    _, _, grown = grown_by("copy", "end", "tokens")
    assert [layer.layer_idx for layer in grown.network.transformer["h"]] == [0, 1, 2, 3, 4]


def test_tied_weights_stay_tied_and_are_stepped_once():
    trainer, state, grown = grown_by("copy", "middle", "tokens")
    expected = expected_weights(trainer, state, COPIED["middle"], "transformer.h", lambda _, t: t)
    assert same(grown.network.state_dict(), expected)
    network = grown.network
    assert network.head.weight is network.transformer["embedding"].weight
    assert network.head.weight is not state.network.head.weight
    stepped = [p for group in grown.optimizer.param_groups for p in group["params"]]
    assert sum(p is network.head.weight for p in stepped) == 1
    assert_states(state, grown, KEPT["middle"], "transformer.h")


def assert_states(state, grown, sources, stack="blocks", treated=lambda n, t: None) -> None:
    """The optimizer's state of each parameter is that of its source; new ones have `treated`'s.

    `treated` takes the name of the state and the place's tensor of the block that it copies.
    """
    old = dict(state.network.named_parameters())
    for name, parameter in grown.network.named_parameters():
        source, is_new = name, False
        if name.startswith(f"{stack}."):
            place, _, rest = name.removeprefix(f"{stack}.").partition(".")
            is_new = sources[int(place)] is None
            block = COPIED["between"][int(place)] if is_new else sources[int(place)]
            source = f"{stack}.{block}.{rest}"
        expected = state.optimizer.state[old[source]]
        if is_new:
            expected = {n: treated(n, t) for n, t in expected.items()}
            expected = {n: t for n, t in expected.items() if t is not None}
        found = grown.optimizer.state.get(parameter, {})
        assert same(found, expected), name
        assert not any(t.data_ptr() == expected[n].data_ptr() for n, t in found.items() if t.dim())


TREATED = {
    "reset": lambda name, tensor: None,
    "copy": lambda name, tensor: tensor,
    "halve": lambda name, tensor: tensor / 2 if name in ("momentum_buffer", "exp_avg") else tensor,
}


@pytest.mark.parametrize("task", ["blobs", "adam"])
@pytest.mark.parametrize("treated", TREATED)
def test_optimizer_state_is_carried_by_name_and_that_of_copies_is_as_asked_for(task, treated):
    trainer, state, grown = grown_by("copy", task=task, state_of_copies=treated)
    names = {name for values in state.optimizer.state.values() for name in values}
    assert names == ({"step", "exp_avg", "exp_avg_sq"} if task == "adam" else {"momentum_buffer"})
    assert_states(state, grown, KEPT["between"], treated=TREATED[treated])
    assert trainer.config.state_of_copies == treated


@pytest.mark.parametrize("placement", KEPT)
def test_new_blocks_have_no_optimizer_state_where_they_copy_nothing(placement):
    _, state, grown = grown_by("default", placement)
    assert_states(state, grown, KEPT[placement])


def test_parameter_groups_hold_the_parameters_that_they_would_hold_anew():
    _, _, grown = grown_by("copy", task="adam", weight_decay=0.01)
    decayed, others = (group["params"] for group in grown.optimizer.param_groups)
    by_name = dict(grown.network.named_parameters())
    matrices = {f"blocks.{j}.linear.weight" for j in range(5)} | {"first.weight", "last.weight"}
    assert {id(p) for p in decayed} == {id(by_name[name]) for name in matrices}
    assert len(decayed) + len(others) == len(by_name)
    assert [g["weight_decay"] for g in grown.optimizer.param_groups] == [0.01, 0.0]


def test_an_epoch_after_a_growth_is_a_bare_loop_over_what_was_carried_by_hand():
    """The reference grows between by copies, with optimizer states by torch's own numbering."""
    config = trial(
        "adam", initializer="copy", momentum_on_growth="carry", state_of_copies="halve"
    )  # fmt: skip
    trainer = Trainer(config)
    old = copy.deepcopy(trainer.state.network)
    optimizer = adam(old, 0.1, config.weight_decay)
    bare_epoch(old, optimizer, trainer.task.batches("train", 0, 1))
    network = MLP(5, 0.0)
    with torch.no_grad():
        for part in ("first", "last"):
            getattr(network, part).load_state_dict(getattr(old, part).state_dict())
        for block, source in zip(network.blocks, COPIED["between"], strict=True):
            block.load_state_dict(old.blocks[source].state_dict())
    grown = adam(network, 0.1, config.weight_decay)
    pairs = [(old.first, network.first, False), (old.last, network.last, False)] + [
        (old.blocks[source], block, kept is None)
        for source, kept, block in zip(
            COPIED["between"], KEPT["between"], network.blocks, strict=True
        )
    ]
    for before, after, is_new in pairs:
        for one, other in zip(before.parameters(), after.parameters(), strict=True):
            state = copy.deepcopy(optimizer.state[one])
            if is_new:
                state["exp_avg"] /= 2
            grown.state[other] = state
    loss, _ = bare_epoch(network, grown, trainer.task.batches("train", 0, 2))
    records = [next(trainer), next(trainer)]
    assert [record.architecture for record in records] == ["3", "5"]
    assert same(trainer.state.network.state_dict(), network.state_dict())
    assert records[1].train_loss == pytest.approx(loss, rel=1e-6)


def test_partial_trains_new_blocks_alone_for_an_epoch():
    trainer = Trainer(trial(initializer="partial"))
    next(trainer)
    before = {n: p.detach().clone() for n, p in trainer.state.network.named_parameters()}
    record = next(trainer)
    assert record.phase == "initializing"
    moved = {
        name.rpartition(".")[0].partition(".")[2].partition(".")[0]
        for name, p in trainer.state.network.named_parameters()
        if not torch.equal(p, before[name])
    }
    assert moved == {"1", "3"}


# stopping, storing, sharing


@pytest.mark.parametrize(
    "config",
    first_quick(
        [
            {"task": "blobs", "blob_dropout": 0.5, "initializer": "clone"},
            {"task": "adam", "initializer": "copy", "momentum_on_growth": "carry"},
            {"task": "tokens", "initializer": "copy", "placement": "end"},
            {"task": "blobs", "blob_dropout": 0.5, "initializer": "partial"},
        ]
    ),
    ids=lambda config: " ".join(map(str, config.values())),
)
def test_straight_through_is_save_load_and_go_on(config, tmp_path):
    straight = Trainer(trial(**config))
    records = list(straight)
    assert any(record.grew for record in records)
    for stop in range(1, len(records)):
        trainer = Trainer(trial(**config))
        for _ in range(stop):
            next(trainer)
        trainer.save(tmp_path / "state.safetensors")
        resumed = Trainer.load(tmp_path / "state.safetensors")
        assert list(resumed) == records[stop:]
        assert same(resumed.state.network.state_dict(), straight.state.network.state_dict())


def test_an_epoch_that_is_recalled_is_the_one_that_was_trained(tmp_path):
    config = trial("evaluated", initializer="copy", momentum_on_growth="carry")
    records = list(Trainer(config))
    store = EpochStore(str(tmp_path))
    assert list(Trainer(config, store=store)) == records
    trainer = Trainer(config, store=store)
    for record in records:
        assert next(trainer) == record and trainer.recalled
        assert trainer.history[-1].metrics == record.metrics != {}
    longer = Trainer(replace(config, epochs=4), store=store)
    *shared, last = longer
    assert [record.reused for record in shared] == [True] * 3 and not last.reused
    assert [replace(r, status="running") for r in shared] == [
        replace(r, status="running") for r in records
    ]
    assert last == list(Trainer(replace(config, epochs=4)))[-1]


def test_other_options_of_a_task_and_other_states_of_copies_are_other_epochs():
    configs = [
        trial(initializer="copy"),
        trial(initializer="copy", blob_dropout=0.1),
        trial(initializer="copy", momentum_on_growth="carry"),
        trial(initializer="copy", momentum_on_growth="carry", state_of_copies="halve"),
        trial(initializer="copy", placement="start"),
    ]
    keys = [[record.key for record in Trainer(config)] for config in configs]
    first, second, third = (list(column) for column in zip(*keys, strict=True))
    assert len(set(first)) == 2 and first[0] == first[2] == first[3] == first[4]
    assert len(set(second)) == len(set(third)) == 5


# numbers of epochs


@pytest.mark.parametrize("given", [{"many_batches": 6}, {"data_dir": "hub/other"}])
def test_data_that_differ_after_the_first_batches_have_keys_of_their_own(given):
    """By an option of role data, or by a `data_dir` that is no path but a name."""

    class Many(Blobs):
        many_batches: int = option(5, "batches of an epoch", least=1, role=Role.DATA)

        def batches(self, split, seed, epoch):
            draw = generator(seed, epoch, split) if split == "train" else generator(0, 0, split)
            for i in range(self.many_batches):
                shift = 0 if i < 4 or self.trial.data_dir == "hub/one" else 1
                labels = torch.randint(CLASSES, (8,), generator=draw)
                yield torch.randn(8, 4, generator=draw) + shift, labels

    register("task", "many")(dataclass(frozen=True, kw_only=True)(Many))
    one, other = (
        Trainer(trial("many", **{"data_dir": "hub/one", "policy": "none", **options}))
        for options in ({}, given)
    )
    assert one.next_key != other.next_key
    assert next(one).train_loss != next(other).train_loss


def test_a_task_with_a_loss_of_its_own_has_losses_and_no_accuracy(tmp_path):
    config = trial("regression", lr=0.01)
    trainer = Trainer(config)
    records = list(trainer)
    for record in records:
        numbers = record.val_accuracy, record.test_accuracy, record.train_accuracy
        assert numbers == (None, None, None) and record.lipschitz is None
        assert record.grown_val_accuracy is None
    pairs = trainer.task.batches("val", 0, 0)
    inputs, targets = (torch.cat(tensors) for tensors in zip(*pairs, strict=True))
    with torch.no_grad():
        outputs = trainer.state.network.eval()(inputs)[:, 0].double()
    assert records[-1].val_loss == pytest.approx(((outputs - targets) ** 2).mean().item(), rel=1e-5)
    best = min(records, key=lambda record: record.val_loss)
    shown = trial_summary(History(records))
    assert f"last epoch     validation loss {records[-1].val_loss:.6g}" in shown
    assert f"best epoch     validation loss {best.val_loss:.6g} (epoch {best.epoch}" in shown
    assert "%" not in shown.replace("final parameters (", "").splitlines()[2]
    study = create_study(tmp_path / "study", searched=False)
    write_trial(study, "one", config, records)
    (row,) = summarize(read_study(study)).to_dict("records")
    assert (row["best_epoch"], row["best_val_loss"]) == (best.epoch, best.val_loss)
    assert read_histories(study) == {"one": History(records)}


def test_other_numbers_of_an_evaluation_are_in_records_and_columns_and_come_back(tmp_path):
    config = trial("evaluated")
    records = list(Trainer(config))
    for record in records:
        assert set(record.metrics) == {
            "val_wrong", "val_perplexity", "test_loss", "test_wrong", "test_perplexity"
        }  # fmt: skip
        assert record.metrics["val_perplexity"] == pytest.approx(np.exp(record.val_loss), rel=1e-5)
        n = SIZES["test"][0]
        expected = 100 * (1 - record.metrics["test_wrong"] / n)
        assert record.test_accuracy == pytest.approx(expected)
    study = create_study(tmp_path / "study", searched=False)
    write_trial(study, "one", config, records)
    plain = list(Trainer(trial("regression", lr=0.01)))
    write_trial(study, "two", trial("regression", lr=0.01), plain)
    table = read_study(study)
    one = table[table["trial_id"] == "one"]
    for name in records[0].metrics:
        assert one[f"metric/{name}"].tolist() == [record.metrics[name] for record in records]
    assert table[table["trial_id"] == "two"]["metric/test_loss"].isna().all()
    assert read_histories(study) == {"one": History(records), "two": History(plain)}


def test_test_data_are_read_where_the_task_has_them_alone():
    without, with_them = (list(Trainer(trial(task))) for task in ("blobs", "adam"))
    assert all(record.test_accuracy is None and not record.metrics for record in without)
    assert all(record.test_accuracy is not None for record in with_them)
    assert all(set(record.metrics) == {"test_loss"} for record in with_them)


# mistakes


def told(error: type[BaseException], *parts: str):
    """A context that expects an error of one line with these parts."""
    return pytest.raises(error, match="(?s)^[^\n]*" + "[^\n]*".join(parts) + "[^\n]*$")


@pytest.mark.parametrize(
    ("task", "options", "parts"),
    [
        ("tokens", {"policy": "lipschitz"}, ["policy 'lipschitz' reads Lipschitz", "tokens"]),
        ("tokens", {"policy": "lipschitz-subnetworks"}, ["reads Lipschitz", "choose another"]),
        ("regression", {"policy": "periodic"}, ["reads validation accuracy", "'regression'"]),
        ("regression", {"policy": "convergent"}, ["reads validation accuracy", "none"]),
        ("regression", {"initializer": "adam"}, ["initializer 'adam' reads training accuracy"]),
        ("measured", {"initializer": "adam"}, ["'adam' reads training accuracy", "'measured'"]),
        ("tokens", {"initializer": "zero"}, ["initializer 'zero' changes the residual", "tokens"]),
        ("tokens", {"initializer": "clone"}, ["'clone' changes the residual", "choose 'default'"]),
        ("blobs", {"initializer": "clone", "scaling": "step-size"}, ["scaling 'paper'"]),
        ("blobs", {"architecture": "2-2"}, ["'2-2' has 2 sub-networks", "task 'blobs' has 1"]),
        ("blobs", {"dataset": "digits"}, ["dataset='digits' belongs to", "leave dataset out"]),
        ("blobs", {"network": "plain3net"}, ["network='plain3net'", "task is 'blobs'"]),
        ("blobs", {"train_size": 100}, ["belongs to task 'image-classification' or"]),
        ("tokens", {"blob_dropout": 0.5}, ["blob_dropout=0.5 belongs to task", "'blobs'"]),
        ("blob", {}, ["unknown task 'blob'", "'?blobs"]),
    ],
)  # fmt: skip
def test_options_that_do_not_fit_the_task_are_refused_in_a_line(task, options, parts):
    with told(InputError, *parts):
        trial(task, **options)


def test_a_proposal_that_is_no_option_is_told():
    faulty(proposals={"polcy": "fixed"})
    with told(InputError, "proposals of task 'faulty' have 'polcy'", "did you mean 'policy'"):
        trial("faulty")


def test_a_data_set_beside_a_task_is_refused_by_the_command_line(capsys):
    code, _, err = run(capsys, "train", "--task", "blobs", "--dataset", "digits", "--epochs", 1)
    assert code == 2
    assert "dataset='digits' belongs to a task that has a dataset" in err.replace("\n", " ")


def nothing(self, split, seed, epoch):
    return iter(())


def no_validation(self, split, seed, epoch):
    return Blobs.batches(self, split, seed, epoch) if split == "train" else iter(())


def some_parameters(self, model):
    return torch.optim.SGD(model.blocks.parameters(), lr=0.1)


def twice(self, model):
    groups = [{"params": [model.first.weight]}, {"params": list(model.parameters())[1:]}]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    optimizer.param_groups[1]["params"].append(model.first.weight)
    return optimizer


class Single(nn.Module):
    """Its list is one block at each place."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Residual(0, 0.0)] * depth)


class Lazy(MLP):
    def __init__(self, depth: int) -> None:
        super().__init__(depth, 0.0)
        self.last = nn.LazyLinear(CLASSES)


class Extra(MLP):
    """It has state that is no tensor."""

    def __init__(self, depth: int) -> None:
        super().__init__(depth, 0.0)

    def get_extra_state(self):
        return {"calls": 1}

    def set_extra_state(self, state):
        pass


class NoList(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = Residual(0, 0.0)


def of_logits(self, model, batch):
    return F.cross_entropy(model(batch[0]), batch[1], reduction="none")


FAULTS = {
    "no stack": ({"stacks": ("layers",)}, ["stack 'layers'", "its model has none"]),
    "a name for stacks": ({"stacks": "blocks"}, ["stacks of task 'faulty' are", r"\('blocks',\)"]),
    "empty stacks": ({"stacks": ()}, ["stacks of task 'faulty' are", "name at least one"]),
    "no list": ({"build": lambda *_: NoList()}, ["stack 'blocks'", "is a Residual", "ModuleList"]),
    "no module": ({"build": lambda *_: None}, ["build", "returned NoneType", "nn.Module"]),
    "depth ignored": (
        {"build": lambda *_: MLP(2, 0.0)}, ["made 2 blocks in 'blocks' for architecture '3'"]
    ),
    "growth ignored": (
        {"build": lambda self, a: MLP(min(a.blocks[0], 3), 0.0)}, ["made 3 blocks", "'5'"]
    ),
    "lazy": (
        {"build": lambda self, a: Lazy(a.blocks[0])}, ["'last.weight'", "no shape before the first"]
    ),
    "extra state": (
        {"build": lambda self, a: Extra(a.blocks[0])}, ["'_extra_state'", "no tensor; keep it in"]
    ),
    "one block": ({"build": lambda self, a: Single(a.blocks[0])}, ["one block at several places"]),
    "no scalar": ({"loss": of_logits}, ["loss of task 'faulty' has shape", "mean over the batch"]),
    "no tensor": ({"loss": lambda self, m, b: 1.0}, ["loss", "has float", "return a scalar"]),
    "no gradient": (
        {"loss": lambda self, m, b: Blobs.loss(self, m, b).detach()}, ["no gradient", "detach"]
    ),
    "no pairs": (
        {"batches": lambda self, *_: iter([torch.ones(8, 4)])}, ["batch is a Tensor", "pair"]
    ),
    "no loss": ({"evaluate": lambda self, m, s: {"accuracy": 1.0}}, ["evaluate", "'loss'"]),
    "no dict": ({"evaluate": lambda self, m, s: 1.0}, ["evaluate", "returned 1.0", "dict"]),
    "no number": ({"evaluate": lambda self, m, s: {"loss": "low"}}, ["evaluate", "a number"]),
    "no accuracy": (
        {"evaluate": lambda self, m, s: {"loss": 1.0}, "has_accuracy": True},
        ["no 'accuracy'", "has_accuracy = False"],
    ),
    "accuracy unsaid": (
        {"evaluate": lambda self, m, s: {"loss": 1.0, "accuracy": 50.0}},
        ["returned 'accuracy'", "set has_accuracy = True"],
    ),
    "parameters missed": ({"optimizer": some_parameters}, ["parameter 'first.weight' in no group"]),
    "parameters twice": ({"optimizer": twice}, ["'first.weight' in two groups", "once"]),
    "no batches": ({"batches": nothing}, ["batches", "'train'", "yields nothing", "at least one"]),
    "has_accuracy without evaluate": (
        {"loss": lambda self, m, b: F.cross_entropy(m(b[0]), b[1]), "has_accuracy": True},
        ["'faulty' says has_accuracy, but defines loss and not evaluate", "define evaluate"],
    ),
    "no validation": ({"batches": no_validation}, ["'val'", "yields nothing"]),
    "trial in load": (
        {"load": lambda self, data_dir: self.trial.batch_size}, ["reads self.trial in load"]
    ),
}  # fmt: skip
"""Members of a task that are wrong, and what the error says."""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_mistake_in_a_task_is_told_in_a_line(fault):
    members, parts = FAULTS[fault]
    faulty(**members)
    with told(InputError, *parts):
        list(Trainer(trial("faulty")))


@pytest.mark.parametrize(
    ("initializer", "method"),
    [("zero", "silence_residual"), ("clone", "scale_residual"), ("uniform", "last_normalization")],
)
def test_blocks_without_what_an_initializer_of_residuals_calls_are_told(initializer, method):
    class Plain(MLP):
        def __init__(self, depth):
            super().__init__(depth, 0.0)
            self.blocks = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(depth))

    faulty(build=lambda self, architecture: Plain(architecture.blocks[0]))
    with told(InputError, f"'{initializer}' needs {method}", "Linear in 'blocks'", "'default'"):
        Trainer(trial("faulty", initializer=initializer))


def test_a_task_that_lacks_what_it_must_define_is_not_registered():
    made = dataclass(frozen=True, kw_only=True)(type("Empty", (Task,), {"__module__": __name__}))
    with told(InputError, "task 'empty'", "must define batches, build, stacks"):
        register("task", "empty")(made)


def test_data_are_loaded_once_for_all_trials_with_the_same_data_dir(tmp_path):
    LOADED.clear()
    for seed in (0, 1):
        for place in (tmp_path / "one", tmp_path / "two"):
            place.mkdir(exist_ok=True)
            config = trial("evaluated", seed=seed, epochs=1, policy="none", data_dir=str(place))
            list(Trainer(config))
    assert dict(LOADED) == dict.fromkeys(map(str, (tmp_path / "one", tmp_path / "two")), 1)


def test_data_that_are_given_are_not_loaded():
    LOADED.clear()
    config = trial("evaluated", epochs=1, policy="none", data_dir="nowhere at all")
    assert next(Trainer(config, dataset={"classes": CLASSES})).epoch == 1
    assert not LOADED


def test_a_first_look_before_a_search_finds_batches_that_change():
    calls = count()

    def batches(self, split, seed, epoch):
        yield torch.randn(4, 4) + next(calls), torch.arange(4) % CLASSES

    faulty(batches=batches)
    with told(InputError, "another first batch", "growsearch.generator"):
        trial("faulty").task.check()
    faulty(batches=lambda *_: iter([(torch.full((4, 4), torch.nan), torch.arange(4) % CLASSES)]))
    with told(InputError, "the first batch of 'train'", "NaN", "mend the data"):
        trial("faulty").task.check()
    for task in TASKS:
        trial(task.__name__.lower()).task.check()


def test_batches_without_tensors_are_refused_by_the_first_look_and_by_keys():
    """Their data would have no hash, so that changed data would be given old epochs."""

    class Points:
        def __init__(self, x, y):
            self.x, self.y = x, y

    def batches(self, split, seed, epoch):
        yield Points(torch.randn(4, 4), torch.arange(4) % CLASSES)

    faulty(
        batches=batches,
        loss=lambda self, model, batch: F.cross_entropy(model(batch.x), batch.y),
    )
    task = trial("faulty", policy="none").task
    for look in (task.check, task.data_digest):
        with told(InputError, "a batch of 'train'", "is a Points without tensors", "dicts"):
            look()


def test_ignored_targets_count_neither_in_the_loss_nor_in_the_accuracy():
    """Half of the positions are padding, -100, in batches of one length."""

    def batches(self, split, seed, epoch):
        for inputs, targets in Tokens.batches(self, split, seed, epoch):
            padded = targets.clone()
            padded[:, LENGTH // 2 :] = -100
            yield inputs, padded

    made = type("Padded", (Tokens,), {"__module__": __name__, "batches": batches})
    registry._REGISTRY["task"].pop("padded", None)
    register("task", "padded")(dataclass(frozen=True, kw_only=True)(made))
    trainer = Trainer(trial("padded", policy="none"))
    record = next(trainer)
    pairs = trainer.task.batches("val", 0, 0)
    inputs, targets = (torch.cat(tensors) for tensors in zip(*pairs, strict=True))
    with torch.no_grad():
        logits = trainer.state.network.eval()(inputs).double()
    there = targets != -100
    expected = F.cross_entropy(logits[there], targets[there]).item()
    assert record.val_loss == pytest.approx(expected, rel=1e-5)
    right = (logits.argmax(dim=-1) == targets)[there].double().mean().item()
    assert right > 0
    assert record.val_accuracy == pytest.approx(100 * right, abs=1e-4)


def test_a_constant_that_build_draws_is_the_same_after_a_growth_and_a_resume(tmp_path):
    """Although it is not in the state dict."""

    class Shifted(MLP):
        def __init__(self, depth):
            super().__init__(depth, 0.0)
            self.shift = torch.randn(4)

        def forward(self, x):
            return super().forward(x + self.shift)

    faulty(build=lambda self, architecture: Shifted(architecture.blocks[0]))
    config = trial("faulty", growth_epochs=(1, 3), growth_architectures="5 6", epochs=5)
    straight = [record.val_loss for record in Trainer(config)]
    trainer = Trainer(config)
    for epoch in range(1, 5):
        next(trainer)
        trainer.save(tmp_path / "state.safetensors")
        rest = [record.val_loss for record in Trainer.load(tmp_path / "state.safetensors")]
        assert rest == straight[epoch:], epoch


def test_frozen_parameters_are_not_counted():
    def build(self, architecture):
        model = Blobs.build(self, architecture)
        model.first.requires_grad_(False)
        return model

    faulty(build=build)
    record, whole = (next(Trainer(trial(name, policy="none"))) for name in ("faulty", "blobs"))
    assert whole.parameters - record.parameters == 4 * WIDTH + WIDTH


@pytest.mark.parametrize("optimizer", ["adamw", "muon", "sgd"])
def test_a_model_may_have_complex_parameters(optimizer):
    class Turned(MLP):
        def __init__(self, depth):
            super().__init__(depth, 0.0)
            self.turn = nn.Parameter(torch.ones(CLASSES, dtype=torch.complex64))

        def forward(self, x):
            return (super().forward(x) * self.turn).real

    faulty(build=lambda self, architecture: Turned(architecture.blocks[0]))
    records = list(Trainer(trial("faulty", optimizer=optimizer, lr=0.01)))
    assert [record.architecture for record in records] == ["3", "5", "5"]


def test_what_a_task_has_frozen_stays_frozen_when_new_blocks_have_been_trained_apart(tmp_path):
    def build(self, architecture):
        model = Blobs.build(self, architecture)
        model.last.requires_grad_(False)
        return model

    faulty(build=build)
    trainer = Trainer(trial("faulty", initializer="adam", epochs=5))
    first = trainer.state.network.last.weight.detach().clone()
    while len(trainer.history) < 2 or trainer.history[-1].phase == "initializing":
        next(trainer)
    assert "initializing" in {record.phase for record in trainer.history}
    trainer.save(tmp_path / "state.safetensors")
    resumed = list(Trainer.load(tmp_path / "state.safetensors"))
    rest = list(trainer)
    assert [r.val_loss for r in resumed] == [r.val_loss for r in rest]
    assert torch.equal(trainer.state.network.last.weight, first)


def test_data_that_have_changed_are_loaded_again(tmp_path):
    """In one session: the key of the next epoch is of the new data, and so is the epoch."""
    (tmp_path / "data").mkdir()
    file = tmp_path / "data/points.txt"
    file.write_text("1")
    task = faulty(load=lambda self, data_dir: (tmp_path / "data/points.txt").read_text())
    for data_dir in (file, tmp_path / "data"):
        one = trial("faulty", policy="none", data_dir=str(data_dir)).task
        file.write_text("1")
        assert (one.read(), task.__name__) == ("1", "Faulty")
        file.write_text("22")
        assert one.read() == "22"


@pytest.mark.parametrize(
    ("layer", "macs"),
    [
        # projections to queries, keys and values, and back; two products of attention; two layers
        (
            lambda: nn.TransformerEncoderLayer(32, 4, 64, batch_first=True),
            10 * 32 * 96 + 10 * 32 * 32 + 2 * 10 * 10 * 32 + 2 * 10 * 32 * 64,
        ),
        (lambda: nn.LSTM(32, 24, batch_first=True), 10 * 4 * 24 * (32 + 24)),
        (lambda: nn.GRU(32, 24, batch_first=True), 10 * 3 * 24 * (32 + 24)),
    ],
)
def test_layers_that_torch_computes_by_one_kernel_are_counted(layer, macs):
    layer = layer().eval()
    before = torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled
    assert macs_of(lambda: layer(torch.zeros(1, 10, 32))) == macs
    assert (torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled) == before
