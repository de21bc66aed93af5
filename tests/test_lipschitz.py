from itertools import chain, islice
from math import prod
from statistics import fmean

import numpy as np
import pytest
import torch
from conftest import first_quick
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import LinearOperator, svds
from torch import nn
from torch.nn import functional as F

from growsearch.growth.constants import LipschitzConstants
from growsearch.tasks.images.blocks import Block, PlainBlock, StepSize
from growsearch.tasks.images.lipschitz import lipschitz_constants
from growsearch.tasks.images.networks import GrowableNetwork, build_network
from growsearch.trainer import Trainer
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig

ROUNDING = 1e-5
"""An estimate may exceed the true norm by this part of it."""
DENSE = 700
"""Inputs up to which the matrix is made; beyond, ARPACK has the operator."""


@torch.no_grad()
def dense_norm(conv, height, width) -> float:
    """The largest singular value of the convolution's matrix for images of this size."""
    n = conv.in_channels * height * width
    weight, geometry = conv.weight.double(), (None, conv.stride, conv.padding)
    if n <= DENSE:
        images = torch.eye(n, dtype=torch.float64).reshape(n, conv.in_channels, height, width)
        matrix = F.conv2d(images, weight, *geometry).reshape(n, -1)
        return float(np.linalg.svd(matrix.numpy(), compute_uv=False)[0])
    image = torch.zeros(1, conv.in_channels, height, width, dtype=torch.float64)
    shape = F.conv2d(image, weight, *geometry).shape

    def product(v):
        return F.conv2d(torch.from_numpy(v.reshape(image.shape)), weight, *geometry).flatten()

    def transposed(u):
        u = torch.from_numpy(u.reshape(shape))
        return nn.grad.conv2d_input(image.shape, weight, u, conv.stride, conv.padding).flatten()

    operator = LinearOperator(
        (shape.numel(), n), matvec=product, rmatvec=transposed, dtype="float64"
    )
    (norm,) = svds(operator, k=1, ncv=30, return_singular_vectors=False, tol=1e-5, rng=0)
    return float(norm)


class OneConvolution(Block):
    """A block of a given convolution whose normalization multiplies by 1."""

    depth = 1

    def __init__(self, conv):
        super().__init__(1, 1, 1, StepSize())
        self.conv1, self.bn1 = conv, nn.BatchNorm2d(1, eps=0)


def network_of(conv) -> GrowableNetwork:
    """A network of this convolution, on the network's own input."""
    network = GrowableNetwork(
        Architecture([1]), nn.Identity(), PlainBlock, (1,), 2, [StepSize()]
    )  # fmt: skip
    network.subnetworks[0] = nn.Sequential(OneConvolution(conv))
    return network


def conv_of(weight, stride=1) -> nn.Conv2d:
    out, channels, size, _ = weight.shape
    conv = nn.Conv2d(channels, out, size, stride, padding=size // 2, bias=False)
    conv.weight = nn.Parameter(weight)
    return conv


def estimate(conv, size, vectors, settled=False) -> float:
    return lipschitz_constants(network_of(conv), size, vectors, 0, settled).layers[0]


def diagonal(values, size=3) -> torch.Tensor:
    """A kernel that multiplies each channel by its value."""
    weight = torch.zeros(len(values), len(values), size, size)
    weight[range(len(values)), range(len(values)), size // 2, size // 2] = torch.tensor(values)
    return weight


def assert_right(found, true):
    assert 0.99 * true <= found <= (1 + ROUNDING) * true


@torch.no_grad()
def dense_layers(network, height, width) -> list[list[float]]:
    """The constants of conv1, bn1, conv2, bn2, ... of each block."""
    constants = []
    for block in chain.from_iterable(network.blocks):
        factors = []
        for conv, bn in block.layers():
            scale = bn.weight.abs() / (bn.running_var + bn.eps).sqrt()
            factors += [dense_norm(conv, height, width), scale.max().item()]
            stride = conv.stride[0]
            height, width = -(-height // stride), -(-width // stride)
        constants.append(factors)
    return constants


@pytest.mark.parametrize("size", [(8, 8), (7, 7), (9, 6)])
def test_blocks_of_a_new_network_agree_with_the_dense_svd(size):
    network = build_network("basic3resnet", Architecture("2-2-2"), (1, *size), 10, seed=1)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.weight)
            torch.nn.init.uniform_(module.running_var, 0.01, 2)
    ours = lipschitz_constants(network, size, vectors={}).blocks
    assert list(ours) == pytest.approx(list(map(prod, dense_layers(network, *size))), rel=5e-3)


GROWING_RUNS = [
    {"policy": "fixed", "growth_epochs": (2, 3), "epochs": 4,
     "growth_architectures": "2-3-2 3-4-4"},
    {"policy": "fixed", "growth_epochs": 2, "epochs": 3, "network": "preact3resnet"},
    {"network": "bottleneck4resnet", "initializer": "adam", "interval": 1, "epochs": 4},
    {"network": "plain3net", "interval": 1, "epochs": 4},
    {"initializer": "adam", "interval": 1, "epochs": 6},
    {"initializer": "zero", "interval": 1, "epochs": 4},
    {"network": "basic4resnet", "interval": 1, "epochs": 4},
    {"network": "plain4net", "interval": 1, "epochs": 4},
    {"policy": "fixed", "growth_epochs": 1, "epochs": 2, "network": "bottleneck4resnet",
     "architecture": "2-2-2-2", "growth_architectures": "2-3-2-2"},
    *({"image_size": 32, "network": f"{family}-imagenet", "interval": 1, "epochs": 4}
      for family in ("basic4resnet", "bottleneck4resnet", "plain4net")),
]  # fmt: skip
EPOCHS = 4
"""Measured of each run: initializing epochs come on top of its own."""


@pytest.mark.parametrize(
    "options",
    first_quick(GROWING_RUNS, 0, slow=2),
    ids=lambda o: "-".join(map(str, o.values())),
)
def test_every_layer_at_every_epoch_of_a_growing_run_agrees_with_the_svd(options):
    autogrow = {} if "policy" in options else {"policy": "periodic", "finetune_epochs": 1}
    config = TrialConfig(**autogrow, **options, train_size=200, record_lipschitz="layers")
    trainer = Trainer(config)
    images = (trainer.config.image_size or 8,) * 2
    networks = []
    epoch = trainer._epoch

    def remember():
        measured = epoch()
        network = trainer.state.network
        with torch.no_grad():
            size = network.stem(torch.zeros(1, 1, *images)).shape[2:]
        networks.append(dense_layers(network, *size))
        return measured

    trainer._epoch = remember
    for record in islice(trainer, EPOCHS):
        truth = networks[-1]
        for found, true in zip(record.lipschitz_layers, chain(*truth), strict=True):
            assert_right(found, true)
        assert record.lipschitz == pytest.approx(fmean(map(prod, truth)), rel=0.01)
    assert len({sum(map(len, truth)) for truth in networks}) > 1  # it has grown


@pytest.mark.parametrize(
    ("weight", "size", "norm"),
    [
        (diagonal([1.0, 2.0, -3.0]), (4, 4), 3.0),
        (torch.ones(1, 1, 3, 3), (4, 4), 6.854102),
        (diagonal([2.0] * 16), (4, 4), 2.0),
        (diagonal([1.0], size=1), (1, 1), 1.0),
        (torch.zeros(4, 4, 3, 3), (8, 8), 0.0),
        (1e-15 * diagonal([1.0, 2.0, -3.0]), (4, 4), 3e-15),
        (1e25 * diagonal([1.0, 2.0, -3.0]), (4, 4), 3e25),
    ],
)
def test_constructed_kernels_have_the_norms_known_by_hand(weight, size, norm):
    """Their Krylov spaces are complete after a few products."""
    vectors: dict[str, torch.Tensor] = {}
    for settled in (False, True, True, True):
        found = estimate(conv_of(weight), size, vectors, settled)
        assert found == pytest.approx(norm, rel=1e-6, abs=0)


def test_a_block_of_identities_has_the_product_of_its_scales():
    """Two times 2, and twice |-3| / sqrt(4): 9."""
    network = build_network("basic3resnet", Architecture("1-1-1"), (1, 8, 8), 10, seed=1)
    block = network.blocks[0][0]
    for conv, bn in block.layers():
        conv.weight = nn.Parameter(diagonal([2.0] * 16))
        nn.init.constant_(bn.weight, -3)
        nn.init.constant_(bn.running_var, 4 - bn.eps)
    vectors: dict[str, torch.Tensor] = {}
    for settled in (False, True, True):
        found = lipschitz_constants(network, (8, 8), vectors, 0, settled).blocks[0]
        assert found == pytest.approx(9, rel=1e-6)


@pytest.mark.parametrize("alive", [0, 1, 2, 4, 8, 16])
def test_a_layer_with_dead_filters_agrees_with_the_dense_svd(alive):
    weight = torch.zeros(16, 16, 3, 3)
    weight[:alive] = torch.randn(alive, 16, 3, 3, generator=torch.Generator().manual_seed(alive))
    vectors: dict[str, torch.Tensor] = {}
    for settled in (False, True, True):
        found = estimate(conv_of(weight), (4, 4), vectors, settled)
        assert_right(found, dense_norm(conv_of(weight), 4, 4))


def test_filters_that_come_alive_are_found_from_the_vectors_of_dead_ones():
    """A start vector of other filters alone has no part of them, and no product brings it in."""
    vectors: dict[str, torch.Tensor] = {}
    estimate(conv_of(torch.zeros(3, 3, 3, 3)), (4, 4), vectors)
    for values in ([1.0, 0, 0], [1, 0.9, 0], [1, 0.9, 0.8], [1, 0.9, 1.2], [1, 1.4, 1.2]):
        found = estimate(conv_of(diagonal(values)), (4, 4), vectors, settled=True)
        assert found == pytest.approx(max(values), rel=1e-5)


KINDS = ("random", "low rank", "identity", "diagonal", "zero", "ones", "two blocks")


def kernel(kind, out, channels, size, draw) -> torch.Tensor:
    if kind == "random":
        return torch.randn(out, channels, size, size, generator=draw)
    if kind == "low rank":
        ranks = torch.randn(out, 1, generator=draw) * torch.randn(1, channels, generator=draw)
        return ranks[:, :, None, None] * torch.randn(size, size, generator=draw)
    if kind == "ones":
        return torch.ones(out, channels, size, size)
    if kind == "two blocks":
        weight = torch.randn(out, channels, size, size, generator=draw)
        weight[: out // 2, channels // 2 :] = weight[out // 2 :, : channels // 2] = 0
        return weight
    n = max(out, channels)
    values = {"identity": torch.ones(n), "diagonal": torch.arange(n) + 1.0, "zero": torch.zeros(n)}
    return diagonal(values[kind].tolist(), size)[:out, :channels].clone()


shapes = st.tuples(st.integers(1, 5), st.integers(1, 5), st.sampled_from([1, 3]))
sizes = st.one_of(
    st.sampled_from([(1, 1), (2, 2), (8, 8)]), st.tuples(st.integers(1, 6), st.integers(1, 6))
)


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(KINDS), shapes, st.sampled_from([1, 2]), sizes, st.integers(0, 999))
def test_unchanged_weights_agree_with_the_dense_svd_cold_and_warm(kind, shape, stride, size, seed):
    conv = conv_of(kernel(kind, *shape, torch.Generator().manual_seed(seed)), stride)
    true, vectors = dense_norm(conv, *size), {}
    for settled in (False, True, True, True):
        assert_right(estimate(conv, size, vectors, settled), true)


@settings(max_examples=30, deadline=None)
@example("random", "random", (5, 1, 3), 2, (8, 8), 189)
@example("random", "random", (5, 1, 3), 2, (8, 8), 50)
@given(
    st.sampled_from(KINDS), st.sampled_from(KINDS), shapes, st.sampled_from([1, 2]), sizes,
    st.integers(0, 999),
)  # fmt: skip
@pytest.mark.slow
def test_slowly_changing_weights_agree_with_the_dense_svd(first, last, shape, stride, size, seed):
    draw, vectors, steps = torch.Generator().manual_seed(seed), {}, 8
    first, last = (kernel(kind, *shape, draw) for kind in (first, last))
    for step in range(steps + 1):
        conv = conv_of(torch.lerp(first, last, step / steps), stride)
        found = estimate(conv, size, vectors, settled=step > 0)
        assert_right(found, dense_norm(conv, *size))


def test_equal_calls_have_equal_bits():
    network = build_network("basic3resnet", Architecture("2-2-2"), (1, 8, 8), 10, seed=1)
    vectors: list[dict[str, torch.Tensor]] = [{}, {}]
    for settled in (False, True):
        first, second = (
            lipschitz_constants(network, (8, 8), v, 3, settled).layers for v in vectors
        )
        assert first == second
        assert all(torch.equal(v, vectors[1][name]) for name, v in vectors[0].items())


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_layer_whose_weights_are_finite_again_has_its_norm(bad):
    """Its start vector has not become NaN."""
    weight, vectors = diagonal([1.0, 2.0]), {}
    weight[0, 0, 0, 0] = bad
    assert np.isnan(estimate(conv_of(weight), (4, 4), vectors))
    weight[0, 0, 0, 0] = 0
    assert estimate(conv_of(weight), (4, 4), vectors, settled=True) == pytest.approx(2, rel=1e-5)


def test_the_networks_constant_is_the_mean_over_all_blocks():
    network = build_network("basic3resnet", Architecture("2-3-4"), (3, 8, 8), 10, seed=1)
    constants = lipschitz_constants(network, (8, 8), vectors={})
    assert len(constants.blocks) == 9
    assert constants.mean == fmean(constants.blocks)
    assert constants.subnetworks[1] == fmean(constants.blocks[2:5])
    assert constants.blocks[3] == pytest.approx(prod(constants.layers[12:16]), rel=1e-12)


def test_vectors_are_kept_outside_the_module_and_lead_on():
    network = build_network("basic3resnet", Architecture("2-2-2"), (1, 8, 8), 10, seed=1)
    names = set(network.state_dict())
    vectors: dict[str, torch.Tensor] = {}
    first = lipschitz_constants(network, (8, 8), vectors).blocks
    assert set(network.state_dict()) == names
    assert len(vectors) == 12
    assert lipschitz_constants(network, (8, 8), vectors, settled=True).blocks == pytest.approx(
        first, rel=1e-3
    )


def test_the_measure_leaves_weights_gradients_and_random_state_alone():
    network = build_network("basic3resnet", Architecture("2-2-2"), (1, 8, 8), 10, seed=1)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = torch.random.get_rng_state()
    lipschitz_constants(network, (8, 8), vectors={})
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_nan_weight_is_a_nan_constant_of_its_block_alone():
    network = build_network("basic3resnet", Architecture("2-2-2"), (1, 8, 8), 10, seed=1)
    with torch.no_grad():
        network.blocks[1][1].conv1.weight[0, 0, 0, 0] = torch.nan
    constants = lipschitz_constants(network, (8, 8), vectors={}).blocks
    assert [constant != constant for constant in constants] == [
        False,
        False,
        False,
        True,
        False,
        False,
    ]


def test_convolutions_on_larger_images_agree_with_an_independent_solver_after_growth():
    """The reference is ARPACK's largest singular value of the operator on 28x28 images."""
    from growsearch.training.growth import grow

    trainer = Trainer(TrialConfig(policy="fixed", growth_epochs=1, epochs=2, train_size=200))
    next(trainer)
    state = grow(trainer.state, Architecture("8-8-8"), trainer.task, epoch=1)
    size, vectors = 28, {}
    ours = lipschitz_constants(state.network, (size, size), vectors).by_layer
    for i, j in ((0, 0), (0, 7), (1, 0), (2, 5)):
        conv, side = state.network.blocks[i][j].conv2, size // 2**i
        assert_right(ours[i][j][2], dense_norm(conv, side, side))


def test_a_sub_network_without_blocks_does_not_count():
    constants = LipschitzConstants([[], [[2.0, 3.0], [1.0, 2.0]]])
    assert constants.subnetworks == (0.0, 4.0)
    assert constants.mean == 4.0
