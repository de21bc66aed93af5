from itertools import chain
from math import prod
from statistics import fmean

import pytest
import torch
from torch.nn import functional as F

from growsearch.growth.lipschitz import lipschitz_constants
from growsearch.tasks.images.networks import build_network
from growsearch.trainer import Trainer
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig


@torch.no_grad()
def dense_norm(conv, height, width) -> float:
    """The largest singular value of the convolution's matrix for images of this size."""
    n = conv.in_channels * height * width
    images = torch.eye(n, dtype=torch.float64).reshape(n, conv.in_channels, height, width)
    matrix = F.conv2d(images, conv.weight.double(), None, conv.stride, conv.padding)
    return torch.linalg.svdvals(matrix.reshape(n, -1))[0].item()


@torch.no_grad()
def dense_layers(network, height, width) -> list[list[float]]:
    """The constants of conv1, bn1, conv2, bn2 of each block."""
    constants = []
    for block in chain.from_iterable(network.blocks):
        factors = []
        for conv, bn in ((block.conv1, block.bn1), (block.conv2, block.bn2)):
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


@pytest.mark.slow
def test_every_epoch_of_a_growing_run_agrees_with_the_dense_svd_within_one_percent():
    config = TrialConfig(
        policy="fixed", growth_epochs=(3, 5), epochs=7, train_size=500, record_lipschitz="layers"
    )
    trainer = Trainer(config)
    networks = []
    epoch = trainer._epoch

    def remember():
        measured = epoch()
        networks.append(dense_layers(trainer.state.network, 8, 8))
        return measured

    trainer._epoch = remember
    for record in trainer:
        truth = networks[-1]
        assert list(record.lipschitz_layers) == pytest.approx(
            list(chain.from_iterable(truth)), rel=0.01
        )
        assert record.lipschitz == pytest.approx(fmean(map(prod, truth)), rel=0.01)
    assert [len(constants) for constants in networks] == [6, 6, 6, 12, 12, 24, 24]


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
    from scipy.sparse.linalg import LinearOperator, svds

    from growsearch.training.growth import grow

    trainer = Trainer(TrialConfig(policy="fixed", growth_epochs=1, epochs=2, train_size=200))
    next(trainer)
    state = grow(
        trainer.state, Architecture("8-8-8"), trainer.config, trainer.dataset, epoch=1
    )  # fmt: skip
    size, vectors = 28, {}
    ours = lipschitz_constants(state.network, (size, size), vectors).by_layer
    for i, j in ((0, 0), (0, 7), (1, 0), (2, 5)):
        conv, side = state.network.blocks[i][j].conv2, size // 2**i
        weight = conv.weight.detach()
        shape = (1, conv.in_channels, side, side)

        def product(v, weight=weight, shape=shape):
            image = torch.from_numpy(v.astype("float32")).reshape(shape)
            return F.conv2d(image, weight, None, 1, 1).flatten().numpy()

        def transposed(u, weight=weight, shape=shape):
            image = torch.from_numpy(u.astype("float32")).reshape(shape)
            return F.conv_transpose2d(image, weight, None, 1, 1).flatten().numpy()

        n = prod(shape)
        operator = LinearOperator((n, n), matvec=product, rmatvec=transposed, dtype="float32")
        (truth,) = svds(operator, k=1, return_singular_vectors=False, tol=1e-5, rng=0)
        assert ours[i][j][2] == pytest.approx(float(truth), rel=5e-3)
