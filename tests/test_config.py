import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growsearch.config import DATASETS, NETWORKS, POLICIES, TrialConfig
from growsearch.errors import InputError


def test_the_defaults_are_lipgrows_for_cifar():
    config = TrialConfig()
    assert (config.rtol, config.window, config.reserve, config.epochs) == (1.4, 10, 30, 164)
    assert (config.batch_size, config.weight_decay, config.lr) == (128, 2e-4, 0.5)
    assert (config.architecture, config.max_architecture) == ("2-2-2", "8-8-8")  # ResNet-14 to -50


def test_the_reserve_keeps_the_papers_proportion_in_shorter_runs():
    assert TrialConfig(epochs=82).reserve == 15


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"dataset": "digit"}, ["'digit'", "did you mean 'digits'"]),
        ({"dataset": "imagewoof"}, ["'imagewoof'", "choose from digits, fashion-mnist"]),
        ({"network": "resnet"}, ["network 'resnet'"]),
        ({"policy": "lip"}, ["policy 'lip'"]),
        ({"device": "tpu"}, ["device 'tpu'", "cuda"]),
        ({"architecture": "3-x-3"}, ["'3-x-3'", "2-2-2"]),
        ({"architecture": "0-1-1"}, ["'0-1-1'", "at least 1"]),
        ({"architecture": "2-2"}, ["'2-2'", "basic3resnet has 3", "2-2-2"]),
        ({"architecture": "1-1-1"}, ["'1-1-1'", "never cloned", "start from 2-2-2"]),
        ({"architecture": "3-1-3"}, ["'3-1-3'", "start from 3-2-3"]),
        ({"max_architecture": "9-9-9"}, ["9-9-9", "4-4-4, 8-8-8"]),
        ({"rtol": 0}, ["rtol", "greater than 0", "got 0"]),
        ({"rtol": -1.5}, ["rtol", "-1.5"]),
        ({"rtol": float("nan")}, ["rtol", "finite", "nan"]),
        ({"epochs": 0}, ["epochs", "at least 1", "got 0"]),
        ({"epochs": 2.5}, ["epochs", "whole", "2.5"]),
        ({"epochs": True}, ["epochs", "True"]),
        ({"epochs": "many"}, ["epochs", "'many'"]),
        ({"window": 0}, ["window", "at least 1"]),
        ({"reserve": 0}, ["reserve", "at least 1"]),
        ({"epochs": 30, "reserve": 30}, ["reserve=30", "epochs=30", "lower reserve"]),
        ({"batch_size": 1}, ["batch_size", "at least 2"]),
        ({"lr": 0}, ["lr", "greater than 0"]),
        ({"weight_decay": -1e-4}, ["weight_decay", "-0.0001"]),
        ({"seed": -1}, ["seed", "at least 0"]),
        ({"train_size": 0}, ["train_size", "at least 1"]),
        ({"policy": "fixed"}, ["growth_epochs", "60 110"]),
        ({"policy": "fixed", "growth_epochs": [110, 60]}, ["110 60", "must rise"]),
        ({"policy": "fixed", "growth_epochs": [60, 164]}, ["60 164", "epochs=164"]),
        ({"policy": "fixed", "growth_epochs": "60;110"}, ["'60;110'", "separated by spaces"]),
        ({"policy": "none", "rtol": 1.2}, ["rtol=1.2", "belongs to policy 'lipschitz'"]),
        ({"growth_epochs": [60]}, ["growth_epochs", "belongs to policy 'fixed' or 'hand-tuned'"]),
        ({"policy": "none", "initializer": "zero"}, ["initializer='zero'", "'hand-tuned'"]),
        ({"initializer": "zero", "scaling": "paper"}, ["scaling='paper'", "initializer 'clone'"]),
        ({"initializer": "clown"}, ["initializer 'clown'; did you mean 'clone'"]),
        ({"baseline": "first"}, ["baseline 'first'"]),
        ({"lr_schedule": "cosin"}, ["lr_schedule 'cosin'; did you mean 'cosine'"]),
        ({"lr_schedule": "cosine-restarts"}, ["needs lr_epochs", "60 110"]),
        ({"lr_epochs": [60]}, ["lr_epochs=(60,)", "'cosine-restarts' or 'step'"]),
        ({"lr_schedule": "step", "lr_epochs": [90, 60]}, ["lr_epochs 90 60", "must rise"]),
        ({"network": "basic4resnet-imagenet"}, ["'2-2-2'", "has 4", "2-2-2-2"]),
    ],
)
def test_a_bad_value_is_one_line_that_names_value_and_remedy(fields, names):
    with pytest.raises(InputError) as caught:
        TrialConfig(**fields)
    assert "\n" not in str(caught.value)
    for name in names:
        assert name in str(caught.value)


def test_an_unknown_field_is_named_with_its_nearest():
    with pytest.raises(InputError, match="'rtoll'; did you mean 'rtol'"):
        TrialConfig.from_flat({"rtoll": 1.2})


def test_other_spellings_of_the_same_numbers_are_the_same_trial():
    one = TrialConfig(policy="fixed", growth_epochs=[60.0, 110], epochs=164.0, lr=1)
    two = TrialConfig(policy="fixed", growth_epochs="60 110", epochs=164, lr=1.0)
    assert one == two
    assert hash(one) == hash(two)
    assert one.digest == two.digest
    assert one.growth_epochs == (60, 110)


configs = st.one_of(
    st.builds(
        TrialConfig,
        rtol=st.floats(0.1, 9),
        window=st.integers(1, 10),
        seed=st.integers(0, 99),
        architecture=st.sampled_from(["2-2-2", "3-4-5"]),
    ),
    st.builds(
        TrialConfig,
        policy=st.just("fixed"),
        growth_epochs=st.sets(st.integers(1, 163), min_size=1, max_size=4).map(sorted),
    ),
    st.builds(TrialConfig, policy=st.just("none"), lr=st.floats(1e-6, 1)),
)


@given(configs)
def test_flat_and_back_is_the_same_trial(config):
    flat = config.to_flat()
    assert TrialConfig.from_flat(flat) == config
    assert all(value is None or isinstance(value, str | int | float) for value in flat.values())


def test_the_digest_is_the_same_in_another_process():
    code = "from growsearch import TrialConfig; print(TrialConfig(rtol=1.25, seed=3).digest)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == TrialConfig(rtol=1.25, seed=3).digest


def test_every_name_that_is_accepted_has_its_implementation():
    from growsearch import data, growth_policies, networks

    assert set(DATASETS) == set(data.SPECS)
    assert set(NETWORKS) == set(networks._FAMILIES)
    assert set(POLICIES) == set(growth_policies._POLICIES)
