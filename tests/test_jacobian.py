"""Norms of residuals' Jacobians, against dense Jacobians and their singular values."""

import copy
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from statistics import fmean
from typing import ClassVar

import pytest
import torch
from conftest import ROOT, first_quick, task_of
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from growsearch import Task, Trainer, TrialConfig, load_plugins, register
from growsearch.epochs.keys import keyed
from growsearch.epochs.store import EpochStore
from growsearch.growth.jacobian import difference, jacobian_norms
from growsearch.machine.batches import size
from growsearch.tasks.images.networks import build_network
from growsearch.training.growth import grow
from growsearch.training.lipschitz import _first_examples, measured_constants
from growsearch.training.state import TrainState
from growsearch.trial.architecture import Architecture
from growsearch.trial.errors import InputError
from growsearch.trial.options import Role

ROUNDING = 1e-5
"""An estimate may exceed the true norm by this part of it."""
BELOW = 0.05
"""And be less by this part."""
EXAMPLES = ("gpt.py", "vit.py", "mlp.py")


@pytest.fixture(scope="module", autouse=True)
def _examples():
    load_plugins([str(ROOT / "examples" / name) for name in EXAMPLES])


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_bytes(b"In the beginning was the loop, and the loop was short. " * 400)
    return str(path)


class Linear(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x):
        return x + self.linear(x)


class Perceptron(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.norm, self.drop = nn.LayerNorm(width), nn.Dropout(0.5)

    def forward(self, x):
        return x + self.drop(self.down(F.gelu(self.up(self.norm(x)))))


class Attention(nn.Module):
    """Two heads; what it attends to can be held out of reach by `mask`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)

    def forward(self, x, mask=None, *, causal=True):
        q, k, v = self.qkv(x).unflatten(2, (3, 2, -1)).permute(2, 0, 3, 1, 4)
        causal = causal and mask is None
        out = F.scaled_dot_product_attention(q, k, v, mask, is_causal=causal)
        return x + out.transpose(1, 2).flatten(2)


class Normed(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        nn.init.normal_(self.bn.weight)
        nn.init.uniform_(self.bn.running_var, 0.1, 2)

    def forward(self, x):
        return F.relu(x + self.bn(self.conv(x)))


BLOCKS = {
    "linear": (Linear, (8,)),
    "perceptron": (Perceptron, (8,)),
    "perceptron on sequences": (Perceptron, (5, 4)),
    "attention": (Attention, (6, 4)),
    "convolution": (Normed, (3, 4, 4)),
}


def dense_norms(residual, x) -> torch.Tensor:
    """The largest singular values of the residual's Jacobian at each example of x, [examples]."""
    norms = []
    for row in x:

        def one(row):
            return residual(row[None])[0]

        with sdpa_kernel(SDPBackend.MATH):
            jacobian = torch.func.jacrev(one)(row)
        norms.append(torch.linalg.matrix_norm(jacobian.reshape(-1, row.numel()), 2))
    return torch.stack(norms)


def dense_norms_of(block, x, added=difference) -> torch.Tensor:
    exact = copy.deepcopy(block).double().eval()
    return dense_norms(lambda x: added(exact, x), x.double())


def dense_norm_of_copies(residual, row) -> float:
    """The same at one example, of convolutions, which are slow under jacrev: each of many copies of
    the example gives one row of the Jacobian.
    """
    size = residual(row[None]).numel()
    x = row.expand(size, *row.shape).contiguous().requires_grad_()
    (jacobian,) = torch.autograd.grad(residual(x).flatten(1), x, torch.eye(size).double())
    return float(torch.linalg.matrix_norm(jacobian.flatten(1), 2))


def norms_of(block, x, vectors=None, added=difference, seed=0) -> torch.Tensor:
    found = jacobian_norms(
        block, {"b": block}, lambda: block(x), len(x), added, {} if vectors is None else vectors,
        seed,
    )  # fmt: skip
    return found["b"]


def assert_right(found, true, below=BELOW):
    assert (found <= (1 + ROUNDING) * true).all(), (found / true).max()
    assert (found >= (1 - below) * true).all(), (found / true).min()


def made(kind, seed=0, examples=4):
    cls, shape = BLOCKS[kind]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        width = shape[0] if kind == "convolution" else shape[-1]
        return cls(width), torch.randn(examples, *shape)


@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_cold_norms_are_those_of_dense_jacobians(kind, seed):
    block, x = made(kind, seed)
    assert_right(norms_of(block, x, seed=seed), dense_norms_of(block, x).float(), below=0.01)


@pytest.mark.parametrize("kind", BLOCKS)
def test_norms_follow_weights_that_change(kind):
    block, x = made(kind)
    vectors, other = {}, made(kind, seed=7)[0]
    for _ in range(8):
        assert_right(norms_of(block, x, vectors), dense_norms_of(block, x).float())
        with torch.no_grad():
            for parameter, aim in zip(block.parameters(), other.parameters(), strict=True):
                parameter.lerp_(aim, 0.2)


def test_a_linear_residual_has_the_norm_of_its_matrix_at_each_example():
    block, x = made("linear")
    norm = torch.linalg.matrix_norm(block.linear.weight, 2)
    assert norms_of(block, x) == pytest.approx(norm.expand(4).detach(), rel=1e-5)


def test_a_residual_that_was_silenced_has_the_norm_zero():
    for kind in ("linear", "perceptron", "attention"):
        block, x = made(kind)
        for parameter in block.parameters():
            nn.init.zeros_(parameter)
        assert norms_of(block, x).tolist() == [0] * 4


class Constant(nn.Module):
    def forward(self, x):
        return x + 1


def test_a_residual_that_does_not_depend_on_its_input_has_the_norm_zero():
    assert norms_of(Constant(), torch.ones(4, 3)).tolist() == [0] * 4


def test_a_nan_weight_is_a_nan_norm_and_leaves_no_nan_vector():
    block, x = made("linear")
    vectors, kept = {}, block.linear.weight.detach().clone()
    nn.init.constant_(block.linear.weight, torch.nan)
    assert norms_of(block, x, vectors).isnan().all()
    with torch.no_grad():
        block.linear.weight.copy_(kept)
    assert_right(norms_of(block, x, vectors), dense_norms_of(block, x).float())


@pytest.mark.parametrize(
    "family",
    ["basic3resnet", "preact3resnet", pytest.param("bottleneck4resnet", marks=pytest.mark.slow)],
)
def test_blocks_of_residual_networks_are_measured_without_their_shortcuts(family):
    stages, side = (4, 2) if family.startswith("bottleneck") else (3, 4)
    network = build_network(family, Architecture([1] * stages), (1, side, side), 10, seed=1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight)
                nn.init.uniform_(module.running_var, 0.3, 2)
        x = torch.rand(2, 1, side, side)
    blocks = {str(i): block for i, (block,) in enumerate(network.blocks[:2])}
    found = jacobian_norms(
        network, blocks, lambda: network(x), 2, lambda block, x: block.added(x), {}, 0
    )
    network.eval()
    stream = network.stem(x).detach()
    for name, block in blocks.items():
        exact = copy.deepcopy(block).double()
        true = [dense_norm_of_copies(exact.added, row.double()) for row in stream]
        assert_right(found[name], torch.tensor(true))
        stream = block(stream).detach()


class Called(nn.Module):
    """A model that calls its block with more than the stream."""

    def __init__(self, how, width=4):
        super().__init__()
        self.how, self.block = how, Attention(width)
        self.ids = torch.arange(6)

    def forward(self, x):
        mask = torch.rand(len(x), 1, 6, 6, generator=torch.Generator().manual_seed(1)) > 0.2
        mask |= torch.eye(6, dtype=torch.bool)
        if self.how == "positions":
            return self.block(x, mask)
        if self.how == "names":
            return self.block(causal=False, x=x, mask=mask)
        return self.block(x=x, causal=False)


@pytest.mark.parametrize("how", ["positions", "names", "flag"])
def test_a_block_is_differentiated_as_the_model_calls_it(how):
    _, x = made("attention", examples=3)
    model = Called(how)
    vectors = {}
    found = jacobian_norms(model, {"b": model.block}, lambda: model(x), 3, difference, vectors, 0)
    exact = copy.deepcopy(model).double()
    for i in range(3):

        def one(row, i=i):
            every = x.double().index_put((torch.tensor([i]),), row[None])
            return (exact(every) - every)[i]

        with sdpa_kernel(SDPBackend.MATH):
            jacobian = torch.func.jacrev(one)(x[i].double())
        true = torch.linalg.matrix_norm(jacobian.reshape(24, 24), 2)
        assert_right(found["b"][i], true.float(), below=0.01)


class Rectified(Linear):
    in_place = False

    def forward(self, x):
        x = F.relu(x, inplace=self.in_place)
        return x + self.linear(x)


def test_a_block_that_changes_its_input_in_place_is_measured_alike():
    block, x = Rectified(8), made("linear")[1]
    expected = norms_of(block, x)
    block.in_place = True
    assert torch.equal(norms_of(block, x.clone()), expected)


class Counting(Linear):
    """It counts its calls in a buffer and draws random numbers, in evaluation mode too."""

    def __init__(self, width):
        super().__init__(width)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return super().forward(x) + 0 * torch.rand_like(x)


def test_nothing_is_left_behind():
    block, x = Counting(4), torch.ones(2, 4)
    model = nn.Sequential(block, nn.BatchNorm1d(4), nn.Dropout())
    model[1].eval()
    modes = [module.training for module in model.modules()]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state, grads = torch.random.get_rng_state(), torch.is_grad_enabled()
    jacobian_norms(model, {"b": block}, lambda: model(x), 2, difference, {}, 0)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.is_grad_enabled() == grads
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in model.modules())


def test_equal_calls_have_equal_bits_and_another_seed_has_not():
    block, x = made("attention")
    vectors = [{}, {}]
    for _ in range(2):
        first, second = (norms_of(block, x, v) for v in vectors)
        assert torch.equal(first, second)
        assert torch.equal(vectors[0]["b"], vectors[1]["b"])
    other = {}
    norms_of(block, x, other, seed=1)
    assert not torch.equal(other["b"], vectors[0]["b"])


def test_vectors_of_other_examples_are_not_used():
    block, x = made("perceptron")
    vectors = {"b": torch.full((2, 8), torch.nan)}
    assert_right(norms_of(block, x, vectors), dense_norms_of(block, x).float(), below=0.01)


# trials

GROWING = {
    "task": "rings", "width": 6, "policy": "lipschitz", "window": 1, "reserve": 1, "rtol": 1.01,
    "epochs": 6, "precision": "float32", "record_lipschitz": "blocks",
}  # fmt: skip


def tiny(task, text):
    """Options of a small trial of an example."""
    own = {
        "gpt": {"width": 16, "context": 16, "steps_an_epoch": 10, "data_dir": text},
        "vit": {"hidden": 8},
        "rings": {"width": 6},
    }[task]
    return {**GROWING, "task": task, "width": None, "initializer": "copy", **own}


def true_norms(state, task) -> list[list[float]]:
    """By block, the norms at each example, from dense Jacobians in float64."""
    model, batch = copy.deepcopy(state.network).eval(), _first_examples(task)
    seen = {}
    blocks = [*chain(*task.blocks(model))]

    def see(block, inputs):
        seen[block] = inputs[0]

    hooks = [block.register_forward_pre_hook(see) for block in blocks]
    with torch.no_grad():
        task.loss(model, batch)
    for hook in hooks:
        hook.remove()
    return [dense_norms_of(b, seen[b].detach(), task.added).tolist() for b in blocks]


@pytest.mark.parametrize("task", first_quick(["rings", "gpt", "vit"], 1, slow=1))
def test_lipgrow_grows_by_the_jacobians_of_an_example(task, text):
    """At each epoch, and after growths, the constants are those of dense Jacobians."""
    trainer = Trainer(TrialConfig(**tiny(task, text)))
    epoch, truths = trainer._epoch, []

    def remember():
        measured = epoch()
        truths.append(true_norms(trainer.state, trainer.task))
        return measured

    trainer._epoch = remember
    for record in trainer:
        truth = truths[-1]
        assert_right(
            torch.tensor(record.lipschitz_blocks), torch.tensor([fmean(norms) for norms in truth])
        )
        assert record.lipschitz == fmean(record.lipschitz_blocks)
        assert record.lipschitz_subnetworks == (record.lipschitz,)
        largest = max(map(max, truth))
        assert (1 - BELOW) * largest <= record.metrics["lipschitz_max"] <= (1 + ROUNDING) * largest
    depths = [int(record.architecture) for record in trainer.history]
    assert depths[0] == 2
    assert depths[-1] == 8
    reasons = [record.decision for record in trainer.history if record.grew]
    assert "Lipschitz ratio" in reasons[0]


def test_subnetworks_grow_alone_by_jacobians():
    config = TrialConfig(
        policy="lipschitz-subnetworks", lipschitz="jacobian", train_size=100, epochs=5, window=1,
        reserve=1, rtol=1.02, precision="float32", architecture="1-1-1", lr=0.1,
        max_architecture="2-2-2", initializer="zero",
    )  # fmt: skip
    trainer = Trainer(config)
    for record in trainer:
        assert len(record.lipschitz_subnetworks) == 3
    assert trainer.history[-1].architecture == "2-2-2"


def test_vectors_stay_with_their_blocks_when_the_network_grows():
    task = task_of(TrialConfig(**GROWING, placement="end"))
    state = TrainState.initial(task)
    measured_constants(state, task)
    grown = grow(state, Architecture("4"), task, epoch=1)
    assert sorted(grown.lipschitz_vectors) == ["blocks.0", "blocks.1"]
    between = task_of(TrialConfig(**GROWING, placement="between"))
    grown = grow(state, Architecture("4"), between, epoch=1)
    assert torch.equal(grown.lipschitz_vectors["blocks.2"], state.lipschitz_vectors["blocks.1"])
    constants, _ = measured_constants(grown, between)
    truth = [fmean(norms) for norms in true_norms(grown, between)]
    assert_right(torch.tensor(constants.blocks), torch.tensor(truth))
    assert sorted(grown.lipschitz_vectors) == [f"blocks.{i}" for i in range(4)]


def assert_same(some, others):
    some, others = list(some), list(others)
    assert some == others
    assert [r.metrics for r in some] == [r.metrics for r in others]
    assert [r.decision for r in some] == [r.decision for r in others]


def test_a_trial_that_is_resumed_after_each_epoch_has_the_same_records(tmp_path):
    straight = Trainer(TrialConfig(**GROWING))
    records = list(straight)
    trainer = Trainer(TrialConfig(**GROWING))
    for _ in records:
        next(trainer)
        trainer.save(tmp_path / "state.safetensors")
        trainer = Trainer.load(tmp_path / "state.safetensors")
    assert_same(trainer.history, records)
    vectors = trainer.state.lipschitz_vectors
    for name, vector in straight.state.lipschitz_vectors.items():
        assert torch.equal(vectors[name], vector)


@pytest.mark.parametrize("kept", first_quick(["last", "forks", "all"], 1, slow=0))
def test_epochs_from_a_store_are_those_of_training(tmp_path, kept):
    """A trial that goes on where another one ends has retrained epochs, and vectors, too."""
    records = list(Trainer(TrialConfig(**GROWING)))
    store = EpochStore(str(tmp_path))
    first = Trainer(TrialConfig(**GROWING), store=store, keep_states=kept)
    list(first)
    again = Trainer(TrialConfig(**GROWING), store=store, keep_states=kept)
    assert_same([replace(r, reused=False) for r in again], records)
    assert again.recalled
    other = GROWING | {"rtol": 1.2}
    apart = list(Trainer(TrialConfig(**other)))
    assert_same(Trainer(TrialConfig(**other), store=store, keep_states=kept), apart)


def test_constants_of_a_bfloat16_trial_are_computed_in_float32():
    trainer = Trainer(TrialConfig(**GROWING | {"precision": "bfloat16", "epochs": 6}))
    next(trainer)
    state = trainer.state
    assert all(v.dtype == torch.float32 for v in state.lipschitz_vectors.values())
    truth = [fmean(norms) for norms in true_norms(state, trainer.task)]
    # bfloat16 alone would be off by 1e-3
    found = torch.tensor(trainer.history[-1].lipschitz_blocks)
    assert found == pytest.approx(truth, rel=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_compiled_trials_are_measured_uncompiled():
    """Compiled graphs cannot be differentiated twice."""
    from growsearch.machine.compiling import can_compile

    if can_compile():
        records = list(Trainer(TrialConfig(**GROWING | {"epochs": 6, "compile": "on"})))
        assert all(record.lipschitz > 0 for record in records)


def test_the_bound_of_a_growth_stays_one_of_layers():
    options = {
        "policy": "fixed", "growth_epochs": 1, "epochs": 2, "train_size": 100,
        "precision": "float32",
    }  # fmt: skip
    layers, jacobian = (
        list(Trainer(TrialConfig(**options, lipschitz=kind))) for kind in ("layers", "jacobian")
    )
    assert layers[0].temporal_bound == pytest.approx(jacobian[0].temporal_bound, rel=1e-2)
    assert [r.val_loss for r in layers] == [r.val_loss for r in jacobian]
    for one, other in zip(layers, jacobian, strict=True):
        assert all(a <= b for a, b in zip(
            other.lipschitz_subnetworks, one.lipschitz_subnetworks, strict=True
        ))  # fmt: skip
        assert one.key != other.key


# options


def test_what_is_measured_unless_it_is_said():
    assert TrialConfig().lipschitz == "layers"
    assert TrialConfig(network="plain3net", policy="none").lipschitz == "layers"
    assert TrialConfig(**GROWING).lipschitz == "jacobian"
    assert TrialConfig(task="rings", policy="none").lipschitz is None  # its policy reads none
    assert TrialConfig(task="rings", policy="none", lipschitz="jacobian").lipschitz == "jacobian"
    for config in (TrialConfig(), TrialConfig(**GROWING), TrialConfig(task="rings", policy="none")):
        assert TrialConfig.from_flat(config.to_flat()) == config


def test_keys_hold_jacobians_and_are_otherwise_what_they_were():
    """No key of an older store has the option."""
    for older in (TrialConfig(), TrialConfig(task="rings", policy="none")):
        assert "lipschitz" not in keyed(older, *Role)
    for newer in (TrialConfig(lipschitz="jacobian"), TrialConfig(**GROWING)):
        assert keyed(newer, Role.EPOCH)["lipschitz"] == "jacobian"


@dataclass(frozen=True, kw_only=True)
class _Own(Task):
    """Sums of numbers."""

    stacks = ("0",)
    residual = True
    proposals: ClassVar = {"policy": "fixed", "lr": 0.1, "initializer": "copy"}

    def build(self, architecture):
        return nn.Sequential(nn.Sequential(*(self.block() for _ in range(architecture.blocks[0]))))

    def block(self):
        return Linear(3)

    def batches(self, split, seed, epoch):
        yield torch.ones(2, 3), torch.zeros(2, dtype=torch.long)


class Pair(Linear):
    def forward(self, x):
        return (super().forward(x[0] if isinstance(x, tuple) else x), None)


class Wider(nn.Linear):
    def __init__(self, width):
        super().__init__(width, 1)


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        return grad


class OnceDifferentiable(Linear):
    def forward(self, x):
        return Once.apply(super().forward(x))


class BatchStatistics(Linear):
    def __init__(self, width):
        super().__init__(width)
        self.bn = nn.BatchNorm1d(width, track_running_stats=False)

    def forward(self, x):
        return x + self.bn(self.linear(x))


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (Pair(3), r"a Pair returns tuple for \(2, 3\); define added"),
        (Wider(3), r"a Wider returns shape \(2, 1\) for \(2, 3\); define added"),
        (OnceDifferentiable(3), "torch cannot do that with a OnceDifferentiable .*choose a policy"),
        (BatchStatistics(3), "BatchStatistics has a batch normalization without running stat"),
    ],
)
def test_a_block_that_has_no_jacobian_is_one_line(block, message):
    with pytest.raises(InputError, match=message) as caught:
        norms_of(block, torch.ones(2, 3))
    assert "\n" not in str(caught.value)


def test_examples_that_are_not_first_and_blocks_that_are_not_called_are_one_line_each():
    block = Linear(3)
    with pytest.raises(InputError, match=r"'b' gets one of shape \(5, 3\) for 2 examples"):
        jacobian_norms(block, {"b": block}, lambda: block(torch.ones(5, 3)), 2, difference, {}, 0)
    with pytest.raises(InputError, match="does not call it with a tensor"):
        jacobian_norms(block, {"b": block}, lambda: None, 2, difference, {}, 0)


def test_a_task_whose_blocks_return_pairs_says_itself_what_they_add(own_registry):
    @register("task", "pairs")
    @dataclass(frozen=True, kw_only=True)
    class Pairs(_Own):
        """Sums."""

        def block(self):
            return Pair(3)

        def loss(self, model, batch):
            return F.cross_entropy(model(batch[0])[0], batch[1])

        def added(self, block, x):
            return block.linear(x[0] if isinstance(x, tuple) else x)

    options = {"task": "pairs", "epochs": 1, "policy": "none", "precision": "float32"}
    (record,) = Trainer(TrialConfig(**options, lipschitz="jacobian"))
    trainer = Trainer(TrialConfig(**options, lipschitz="jacobian"))
    next(trainer)
    norms = [
        float(torch.linalg.matrix_norm(block.linear.weight.detach(), 2))
        for block in chain(*trainer.task.blocks(trainer.state.network))
    ]
    assert record.lipschitz == pytest.approx(fmean(norms), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "rings", "lipschitz": "layers"}, "task 'rings' has none; choose 'jacobian'"),
        ({"network": "plain3net", "policy": "none", "lipschitz": "jacobian"},
         "those of plain3net do not; choose 'layers'"),
        ({"lipschitz": "jacobi"}, "unknown lipschitz 'jacobi'; did you mean 'jacobian'?"),
    ],
)  # fmt: skip
def test_a_measure_that_the_task_does_not_have_is_one_line(options, message):
    with pytest.raises(InputError) as caught:
        TrialConfig(**options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_task_without_residuals_has_no_constants(own_registry):
    @register("task", "plain")
    @dataclass(frozen=True, kw_only=True)
    class Plain(_Own):
        """Sums."""

        residual = False

    for options, message in (
        ({"policy": "lipschitz"}, "task 'plain' has none; choose another policy"),
        ({"lipschitz": "jacobian"}, "task 'plain' do not; leave lipschitz out"),
        ({"lipschitz": "layers"}, "task 'plain' has none; leave lipschitz out"),
    ):
        with pytest.raises(InputError, match=message):
            TrialConfig(task="plain", **options)


def test_the_examples_are_the_first_of_validation():
    task = task_of(TrialConfig(**GROWING))
    inputs, targets = next(iter(task.batches("val", 0, 0)))
    found = _first_examples(task)
    assert size(found) < len(inputs)
    for some, every in zip(found, (inputs, targets), strict=True):
        assert torch.equal(some, every[: len(some)])
    assert len({size(_first_examples(task)) for _ in pairwise(range(3))}) == 1
