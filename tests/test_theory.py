"""LipGrow's section 3.3: measured values against direct computation and the theorem."""

import pytest
import torch

from growsearch.tasks.images.lipschitz import lipschitz_constants
from growsearch.tasks.images.measures import measure_growth
from growsearch.trainer import Trainer
from growsearch.training.epoch import evaluate
from growsearch.training.growth import grow
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig


def measured(initializer="clone", network="basic3resnet", architecture="2-2-2"):
    """The old network, the grown network, images, and the measured values."""
    config = TrialConfig(
        policy="fixed", growth_epochs=2, epochs=3, train_size=300, lr=0.1,
        initializer=initializer, network=network, architecture=architecture,
    )  # fmt: skip
    trainer = Trainer(config)
    next(trainer)
    old = trainer.state
    grown = grow(old, Architecture(architecture).doubled(), trainer.task, epoch=1)
    images = next(trainer.task.dataset.evaluation_batches(trainer.task.dataset.val, 300)).images
    constants = lipschitz_constants(old.network, (8, 8), old.lipschitz_vectors)
    measures = measure_growth(old.network, grown.network, constants, images)
    return old.network, grown.network, images, measures


@pytest.mark.parametrize("network", ["basic3resnet", "preact3resnet"])
def test_cloning_makes_no_functional_difference_but_a_temporal_error(network):
    *_, measures = measured(network=network)
    assert measures.functional_difference == pytest.approx((0, 0, 0), abs=1e-3)
    assert all(error > 0.1 for error in measures.temporal_error)


def test_zero_initialization_makes_a_functional_difference_but_no_temporal_error():
    *_, measures = measured("zero")
    assert measures.temporal_error == (0, 0, 0)
    assert all(difference > 1 for difference in measures.functional_difference)


@pytest.mark.parametrize("initializer", ["clone", "default", "zero"])
@pytest.mark.parametrize("network", ["basic3resnet", "preact3resnet"])
def test_theorem_3_bounds_the_temporal_error(initializer, network):
    *_, measures = measured(initializer, network)
    for error, bound in zip(measures.temporal_error, measures.temporal_bound, strict=True):
        assert error <= bound


def test_the_temporal_error_is_the_distance_of_the_sub_networks_outputs():
    old, grown, images, measures = measured()
    x = old.stem(images).detach()
    for i in range(3):
        one, two = old.subnetworks[i](x).detach(), grown.subnetworks[i](x).detach()
        distances = [(a - b).square().sum().sqrt() for a, b in zip(one, two, strict=True)]
        expected = torch.stack(distances).mean().item()
        assert measures.temporal_error[i] == pytest.approx(expected, rel=1e-4)
        x = one


def test_one_block_is_near_to_none_of_the_new_ones():
    *_, measures = measured("zero", architecture="1-2-1")
    assert [value is None for value in measures.functional_difference] == [True, False, True]
    assert [value is None for value in measures.temporal_bound] == [True, False, True]


def test_a_trial_records_its_growths_just_before_and_just_after():
    config = TrialConfig(policy="fixed", growth_epochs=2, epochs=4, train_size=300, lr=0.1)
    trainer = Trainer(config)
    next(trainer)
    grew = next(trainer)
    just_after = evaluate(trainer.state, trainer.task, "val", epoch=2)
    assert just_after == {"loss": grew.grown_val_loss, "accuracy": grew.grown_val_accuracy}
    assert grew.grown_val_loss != grew.val_loss
    assert len(grew.temporal_error) == len(grew.temporal_bound) == 3
    after = next(trainer)
    assert after.grown_val_loss is after.temporal_error is after.functional_difference is None
