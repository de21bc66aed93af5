from dataclasses import replace

from growsearch.trial.config import TrialConfig
from growsearch.trial.from_scratch import from_scratch


def test_after_autogrow_it_is_the_papers_baseline():
    """The baseline has the same network, N epochs and the same staircase (AutoGrow, section 3)."""
    config = TrialConfig(policy="periodic", dataset="fashion-mnist", train_fraction=0.5, seed=3)
    scratch = from_scratch(config, "9-9-8")
    assert (scratch.policy.name, scratch.architecture, scratch.epochs) == ("none", "9-9-8", 200)
    assert (scratch.lr, scratch.lr_schedule.name, scratch.weight_decay) == (0.1, "staircase", 5e-4)
    assert (scratch.seed, scratch.image_size, scratch.train_fraction) == (3, 32, 0.5)


def test_trials_that_found_the_same_with_other_initializers_share_one():
    one = TrialConfig(policy="periodic", initializer="zero")
    two = TrialConfig(policy="convergent", initializer="adam", lr_schedule="staircase")
    assert from_scratch(one, "3-3-3") == from_scratch(two, "3-3-3")
    assert from_scratch(one, "3-3-3") != from_scratch(replace(one, seed=1), "3-3-3")


def test_after_network_morphism_it_is_as_long_as_the_last_stage():
    """3-3-3, then 5-5-5, for 200 epochs each; the baseline has 5-5-5 for 200 (table 2)."""
    config = TrialConfig(
        policy="fixed", growth_epochs=200, growth_architectures="5-5-5", epochs=400,
        lr_schedule="staircase", lr=0.1,
    )  # fmt: skip
    assert from_scratch(config, "5-5-5").epochs == 200


def test_after_lipgrow_it_is_the_vanilla_network():
    scratch = from_scratch(TrialConfig(rtol=1.2), "8-8-8")
    assert scratch == TrialConfig(policy="none", architecture="8-8-8")
    stepped = from_scratch(TrialConfig(lr_schedule="step"), "8-8-8")
    assert stepped.lr_epochs == (82, 123)
