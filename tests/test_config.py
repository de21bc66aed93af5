import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from growsearch.training.optimizers.adamw import AdamW
from growsearch.trial.components import components
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.own_options import trial_options


def test_the_defaults_are_lipgrows_for_cifar():
    config = TrialConfig()
    assert (config.rtol, config.window, config.reserve, config.epochs) == (1.4, 10, 30, 164)
    assert (config.batch_size, config.weight_decay, config.lr) == (128, 2e-4, 0.5)
    # ResNet-14 to ResNet-50.
    assert (config.architecture, config.max_architecture) == ("2-2-2", "8-8-8")


def test_the_defaults_of_autogrows_policies_are_its_papers():
    """Source: AutoGrow, sections 2.3 and 3, and its program where the text is silent."""
    p = TrialConfig(policy="periodic", dataset="cifar10")
    assert (p.interval, p.patience, p.tau, p.finetune_epochs) == (3, 100, 0.05, 200)
    assert (p.architecture, p.max_architecture) == ("1-1-1", None)
    assert (p.lr, p.lr_schedule.name, p.weight_decay, p.batch_size) == (0.1, "constant", 5e-4, 128)
    assert (p.initializer.name, p.placement, p.momentum_on_growth) == ("gaussian", "end", "carry")
    c = TrialConfig(policy="convergent", dataset="cifar10", network="plain4net")
    assert (c.interval, c.patience, c.lr, c.architecture) == (100, None, 0.01, "1-1-1-1")
    imagenet = TrialConfig(policy="periodic", dataset="imagenet", network="basic4resnet-imagenet")
    assert (imagenet.interval, imagenet.patience, imagenet.finetune_epochs) == (2, 30, 90)
    assert (imagenet.batch_size, imagenet.weight_decay) == (256, 1e-4)
    for dataset, size in (("mnist", 32), ("fashion-mnist", 32), ("svhn", None)):
        assert TrialConfig(policy="periodic", dataset=dataset).image_size == size
    assert TrialConfig(dataset="mnist").image_size is None


@pytest.mark.parametrize(
    ("fraction", "interval"), [(1, 3), (0.75, 4), (0.5, 6), (0.25, 12), (0.8, 4), (0.7, 4)]
)
def test_a_part_of_the_data_has_as_many_batches_between_growths(fraction, interval):
    """The fraction divides K but not J (AutoGrow, section 3.3)."""
    config = TrialConfig(policy="periodic", train_fraction=fraction)
    assert (config.interval, config.policy.interval_epochs(config), config.patience) == (
        3,
        interval,
        100,
    )


def test_defaults_of_k_and_j_fit_each_other():
    short = {"policy": "periodic", "finetune_epochs": 20, "epochs": 60}
    quarter = TrialConfig(**short, train_fraction=0.25)
    assert (quarter.interval, quarter.policy.interval_epochs(quarter), quarter.patience) == (
        2,
        8,
        10,
    )
    slow = TrialConfig(**short, interval=15)
    assert (slow.interval, slow.patience) == (15, 15)


def test_a_network_that_never_has_the_chance_to_grow_is_told():
    (note,) = TrialConfig(policy="convergent", epochs=250, finetune_epochs=200).notes
    assert "never grows" in note and "200 epochs" in note and "epochs=250 leaves 50" in note
    (note,) = TrialConfig(policy="periodic", interval=60, epochs=250, finetune_epochs=200).notes
    assert "after 60 epochs" in note


def test_plain_networks_are_told_what_an_initializer_of_residuals_means_there():
    (note,) = TrialConfig(network="plain3net", initializer="adam", policy="periodic").notes
    assert "'adam'" in note and "plain3net has no residuals" in note and "\n" not in note
    assert TrialConfig(network="plain3net", policy="periodic").notes == []
    assert TrialConfig(policy="periodic", initializer="adam").notes == []


def test_lipgrows_trigger_goes_with_autogrows_initializer_and_the_other_way_round():
    config = TrialConfig(policy="lipschitz", initializer="gaussian", momentum_on_growth="carry")
    assert (config.rtol, config.placement, config.scaling) == (1.4, "between", None)
    config = TrialConfig(policy="periodic", architecture="2-2-2", initializer="clone")
    assert (config.scaling, config.placement) == ("paper", None)


def test_the_reserve_keeps_the_papers_proportion_in_shorter_runs():
    assert TrialConfig(epochs=82).reserve == 15


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"dataset": "digit"}, ["'digit'", "did you mean 'digits'"]),
        (
            {"dataset": "imagewoof"},
            ["'imagewoof'", "choose from arrays, bible, cifar10, cifar100, digits"],
        ),
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
        ({"growth_epochs": [60]}, ["growth_epochs=60 belongs to policy 'fixed' or 'hand-tuned'"]),
        ({"max_architecture": "8-x-8"}, ["max_architecture: ", "'8-x-8'"]),
        (
            {"policy": "none", "initializer": "zero"},
            ["'zero'", "belongs to a policy that grows"],
        ),
        ({"initializer": "zero", "scaling": "paper"}, ["scaling='paper'", "initializer 'clone'"]),
        ({"initializer": "clown"}, ["initializer 'clown'; did you mean 'clone'"]),
        ({"baseline": "first"}, ["baseline 'first'"]),
        ({"lr_schedule": "cosin"}, ["lr_schedule 'cosin'; did you mean 'cosine'"]),
        ({"lr_schedule": "cosine-restarts"}, ["needs lr_epochs", "60 110"]),
        (
            {"lr_epochs": [60]},
            ["lr_epochs=60 ", "'cosine-restarts' or 'step'"],
        ),
        ({"lr_schedule": "step", "lr_epochs": [90, 60]}, ["lr_epochs 90 60", "must rise"]),
        ({"network": "basic4resnet-imagenet", "architecture": "2-2-2"}, ["has 4", "2-2-2-2"]),
        ({"train_fraction": 0}, ["train_fraction", "greater than 0"]),
        ({"train_fraction": 1.2}, ["train_fraction", "at most 1", "1.2"]),
        ({"train_fraction": 0.5, "train_size": 9}, ["train_size=9", "train_fraction=0.5"]),
        ({"network": "plain3net", "initializer": "clone"}, ["plain3net", "choose 'default'"]),
        ({"placement": "end"}, ["placement='end'", "initializer is 'clone'"]),
        ({"lr_schedule": "staircase"}, ["'staircase'", "'lipschitz'", "choose 'step'"]),
        (
            {"policy": "fixed", "growth_epochs": 60, "growth_architectures": "1-3-3"},
            ["'1-3-3'", "2-2-2", "nowhere shallower"],
        ),
        (
            {"policy": "fixed", "growth_epochs": 60, "growth_architectures": "3-3-3 4-4-4"},
            ["3-3-3 4-4-4", "60", "one for each"],
        ),
        (
            {"policy": "fixed", "growth_epochs": 60, "growth_architectures": "3-3"},
            ["'3-3'", "basic3resnet has 3"],
        ),
        ({"interval": 3}, ["interval=3", "belongs to policy 'convergent' or 'periodic'"]),
        ({"policy": "periodic", "interval": 0}, ["interval", "at least 1", "got 0"]),
        ({"policy": "periodic", "patience": 0}, ["patience", "at least 1", "got 0"]),
        ({"policy": "periodic", "tau": 0}, ["tau", "greater than 0", "got 0"]),
        ({"policy": "periodic", "tau": 101}, ["tau", "at most 100", "got 101"]),
        ({"policy": "periodic", "finetune_epochs": 0}, ["finetune_epochs", "at least 1"]),
        (
            {"policy": "periodic", "interval": 9, "patience": 8},
            ["patience=8 (J)", "K=9", "raise patience"],
        ),
        (
            {"policy": "periodic", "interval": 3, "patience": 8, "train_fraction": 0.25},
            ["patience=8 (J)", "12 epochs", "K=3"],
        ),
        ({"policy": "convergent", "patience": 8}, ["patience=8", "belongs to policy 'periodic'"]),
        (
            {"policy": "periodic", "epochs": 200, "finetune_epochs": 200},
            ["finetune_epochs=200 (N)", "epochs=200 count", "raise epochs"],
        ),
        (
            {"policy": "periodic", "architecture": "2-1-1", "max_architecture": "1-9-9"},
            ["'2-1-1'", "'1-9-9'", "raise the cap"],
        ),
        (
            {"policy": "convergent", "max_architecture": "9-9"},
            ["max_architecture '9-9'", "basic3resnet has 3"],
        ),
        (
            {"policy": "periodic", "architecture": "1-1-1-1"},
            ["'1-1-1-1' has 4", "basic3resnet has 3"],
        ),
        ({"policy": "periodic", "initializer": "clone"}, ["'1-1-1'", "start from 2-2-2"]),
        ({"optimizer_changes": "10:0.05"}, ["optimizer_changes: '10:0.05'", "like 10:lr=0.05"]),
        ({"optimizer_changes": "10:rtol=2"}, ["'10:rtol=2'", "lr or weight_decay"]),
        ({"optimizer_changes": "10:lr=0"}, ["'10:lr=0'", "above 0"]),
        (
            {"optimizer_changes": ["10:lr=0.05", "7:weight_decay=1e-3", "5:lr=0.1"]},
            ["optimizer_changes 10:lr=0.05 7:weight_decay=0.001 5:lr=0.1", "must rise"],
        ),
        ({"optimizer_changes": "30:lr=0.05", "epochs": 30}, ["30:lr=0.05", "epochs=30"]),
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


IMAGES = sorted(n for n, cls in components("dataset").items() if cls.holds == "images")
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
    st.builds(
        TrialConfig,
        optimizer_changes=st.floats(1e-6, 1).map(
            lambda x: (f"7:lr={x}", f"7:weight_decay={x}", "12:lr=0.5")
        ),
    ),
    st.builds(
        TrialConfig,
        policy=st.sampled_from(["periodic", "convergent"]),
        network=st.sampled_from(sorted(components("network"))),
        initializer=st.sampled_from(sorted(set(components("initializer")) - {"clone", "copy"})),
        interval=st.integers(1, 30),
        dataset=st.sampled_from(IMAGES),
    ),
    st.builds(
        TrialConfig,
        policy=st.just("fixed"),
        growth_epochs=st.just((9, 20)),
        growth_architectures=st.sampled_from([("2-2-3", "4-4-4"), "3-3-3 3-3-9", None]),
    ),
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


GIVEN = {
    "epochs": [1, 2, 30, 400],
    "policy": ["none", "hand-tuned", "lipschitz", "periodic", "convergent"],
    "network": ["basic3resnet", "plain3net", "bottleneck4resnet"],
    "dataset": ["digits", "mnist", "imagenet"],
    "architecture": ["3-3-3", "2-2-2-2", "5-4-5"],
    "initializer": ["zero", "clone", "adam"],
    "lr_schedule": ["step", "cosine", "staircase", "cosine-restarts"],
    "growth_epochs": [(1,), (9, 20)],
    "rtol": [1.1],
    "window": [3],
    "reserve": [7],
    "interval": [2],
    "patience": [50],
    "finetune_epochs": [5],
    "train_fraction": [0.5],
    "scaling": ["step-size"],
    "placement": ["end"],
    "momentum_on_growth": ["carry"],
    "lr": [0.2],
    "weight_decay": [0.0],
    "seed": [4],
}  # fmt: skip
"""Options whose values decide the defaults of others, and some that do not."""

some_options = st.dictionaries(st.sampled_from(sorted(GIVEN)), st.integers(0, 99), max_size=3).map(
    lambda drawn: {name: GIVEN[name][k % len(GIVEN[name])] for name, k in drawn.items()}
)


def outcome(make):
    """The flat configuration, or what the error says."""
    try:
        return make().to_flat()
    except InputError as error:
        return str(error)


@settings(max_examples=400, deadline=None)
@given(some_options, some_options)
def test_replacing_options_equals_a_fresh_configuration_with_them(first, then):
    """Whatever was derived from what the first configuration was given is derived anew."""
    try:
        config = TrialConfig(**first)
    except InputError:
        return
    expected = outcome(lambda: TrialConfig(**{**first, **then}))
    assert outcome(lambda: replace(config, **then)) == expected
    assert outcome(lambda: config.replaced(**then)) == expected


def test_a_component_replaces_all_options_of_its_kind():
    """Also those that it has by default, which options by name would leave as they were."""
    from growsearch.growth.initializers.clone import Clone
    from growsearch.policies.autogrow import PeriodicAutoGrow
    from growsearch.policies.lipgrow import LipGrow

    first = TrialConfig(policy=LipGrow(rtol=1.2, window=3), scaling="step-size", epochs=60)
    for then in (
        {"policy": LipGrow()}, {"policy": LipGrow(window=2)}, {"policy": LipGrow(), "rtol": 1.3}
    ):  # fmt: skip
        fresh = TrialConfig(**then, scaling="step-size", epochs=60)
        assert replace(first, **then) == first.replaced(**then) == fresh
    assert replace(first, initializer=Clone()) == TrialConfig(rtol=1.2, window=3, epochs=60)
    other = replace(first, policy=PeriodicAutoGrow(), architecture="2-2-2", initializer="clone")
    assert (other.policy.name, other.rtol) == ("periodic", None)


@pytest.mark.parametrize(
    "then",
    [{"epochs": 30}, {"policy": "none"}, {"initializer": "gaussian"}, {"architecture": "4-4-4"}],
)
def test_replacing_one_option_of_the_default_trial_equals_a_fresh_trial(then):
    assert replace(TrialConfig(), **then) == TrialConfig(**then)


@pytest.mark.parametrize("policy", ["lipschitz", "lipschitz-subnetworks", "hand-tuned", "periodic"])
@pytest.mark.parametrize("epochs", [2, 3, 5, 10, 11, 12, 13, 30, 163, 164, 165])
def test_defaults_fit_each_other_at_any_number_of_epochs(policy, epochs):
    config = TrialConfig(policy=policy, epochs=epochs)
    assert config.growing_epochs >= 1
    assert TrialConfig(policy="lipschitz", epochs=epochs).window <= 10


def test_lipgrow_reaches_its_final_depth_in_the_papers_window_where_the_epochs_suffice():
    assert (TrialConfig(epochs=164).window, TrialConfig(epochs=164).max_architecture) == (
        10, "8-8-8"
    )  # fmt: skip
    assert (TrialConfig(epochs=10).window, TrialConfig(epochs=10).max_architecture) == (1, "8-8-8")
    assert TrialConfig(epochs=2).max_architecture == "4-4-4"
    assert TrialConfig(epochs=1).max_architecture == "2-2-2"


def test_a_component_object_is_the_same_trial_as_its_options():
    from growsearch.growth.initializers.clone import Clone
    from growsearch.policies.lipgrow import LipGrow

    objects = TrialConfig(
        policy=LipGrow(rtol=1.2, window=3), initializer=Clone(scaling="step-size")
    )
    names = TrialConfig(policy="lipschitz", rtol=1.2, window=3, scaling="step-size")
    assert objects == names
    assert isinstance(objects.policy, LipGrow) and objects.policy.window == 3
    assert objects.policy.max_architecture == "8-8-8"


@pytest.mark.parametrize("task", ["image-classification", "language", "vision-transformer"])
@pytest.mark.parametrize("policy", ["lipschitz", "fixed"])
def test_a_component_given_as_an_object_has_the_values_of_the_object(task, policy):
    """Whatever the task proposes; all of a trial's components make the same trial."""
    dataset = {"language": "text"}.get(task, "digits")
    grows = {"growth_epochs": 3} if policy == "fixed" else {}
    config = TrialConfig(task=task, dataset=dataset, policy=policy, epochs=20, **grows)
    given = {chosen.kind: chosen for chosen in config.components()}
    again = TrialConfig(**given, **{n: getattr(config, n) for n in trial_options()})
    assert again == config
    for beta2 in (0.99, 0.999):
        by_name = TrialConfig(task=task, dataset=dataset, optimizer="adamw", beta2=beta2)
        assert TrialConfig(task=task, dataset=dataset, optimizer=AdamW(beta2=beta2)) == by_name
        assert by_name.optimizer.beta2 == beta2
    alone = TrialConfig(task=task, dataset=dataset, optimizer=AdamW())
    assert alone == TrialConfig(task=task, dataset=dataset, optimizer="adamw")
