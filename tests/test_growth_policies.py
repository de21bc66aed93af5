import pickle
from dataclasses import dataclass, replace

import pytest
from conftest import record, run, run_policy

from growsearch import FineTune, Grow, Policy, register
from growsearch.trial.architecture import Architecture
from growsearch.trial.components import forgetting
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import History
from growsearch.trial.path import decide


def test_a_constant_lipschitz_is_grown_by_force_to_keep_the_reserve(paper):
    history = run_policy(TrialConfig(), [5.0] * 164)
    assert list(history.growth_epochs) == paper["growths"]["constant"]
    assert history[-1].architecture == "8-8-8"


def test_a_lipschitz_that_rises_by_five_percent_grows_when_the_ratio_passes_rtol(paper):
    history = run_policy(TrialConfig(), [1.05**epoch for epoch in range(164)])
    assert list(history.growth_epochs) == paper["growths"]["rising by 5 % an epoch"]


def test_the_smoothed_constant_needs_its_window_before_the_first_ratio(paper):
    history = run_policy(TrialConfig(), [2.0**epoch for epoch in range(164)])
    assert list(history.growth_epochs) == paper["growths"]["earliest"]


@pytest.mark.parametrize("epochs", [6, 10, 12, 15, 30, 60, 100, 164])
def test_by_default_every_growth_of_a_rising_constant_comes_before_it_would_be_forced(epochs):
    config = TrialConfig(epochs=epochs)
    assert config.max_architecture == "8-8-8"
    rising = run_policy(config, [2.0**epoch for epoch in range(epochs)])
    forced = run_policy(config, [1.0] * epochs)
    pairs = list(zip(rising.growth_epochs, forced.growth_epochs, strict=True))
    assert len(pairs) == 2 and all(early < late for early, late in pairs)


def test_a_ratio_that_equals_rtol_does_not_grow_and_one_above_does():
    config = TrialConfig(rtol=2.0, window=1, epochs=40)
    assert decide(config, History([record(1, lipschitz=1.0), record(2, lipschitz=2.0)])) is None
    decision = decide(config, History([record(1, lipschitz=1.0), record(2, lipschitz=2.001)]))
    assert str(decision.architecture) == "4-4-4"
    assert "2.001 > rtol 2" in decision.reason


@pytest.mark.parametrize(
    ("decided", "said"),
    [
        (Architecture("8-8-8"), 'decided Architecture\\("8-8-8"\\); return None, Grow'),
        (Grow("8-8-8", "text"), "decided Grow\\(.*; return None, Grow"),
        (True, "decided True; return None, Grow"),
        (Grow(Architecture("8-8"), "few"), "grow, and architecture '8-8' has 2 sub-networks"),
        (Grow(Architecture("4-4-4"), "same"), "grow from 4-4-4 to 4-4-4, not deeper"),
        (Grow(Architecture("8-8-2"), "less"), "grow from 4-4-4 to 8-8-2, not deeper"),
        (FineTune("found"), "decided to fine-tune, but has no finetune_epochs"),
    ],
)
def test_a_policy_that_decides_what_cannot_be_is_told_in_a_line(decided, said):
    with forgetting():

        @register("policy", "odd")
        @dataclass(frozen=True, kw_only=True)
        class Odd(Policy):
            """Decides always the same."""

            def decide(self, trial, history):
                return decided

        config = TrialConfig(policy="odd", architecture="4-4-4", epochs=9)
        with pytest.raises(InputError, match=f"^policy 'odd' [^\n]*{said}[^\n]*$"):
            decide(config, History([record(1, architecture="4-4-4")]))


def test_the_baseline_starts_anew_at_each_growth():
    # Constants: 1, 1, 3 at the first depth; 10, 10, ... at the second, where all ratios are 1.
    config = TrialConfig(rtol=2.5, window=1, epochs=60, reserve=5)
    history, depth = History(), "2-2-2"
    for epoch, value in enumerate([1.0, 1.0, 3.0] + [10.0] * 20, start=1):
        new = record(epoch, architecture=depth, lipschitz=value)
        decision = decide(config, history.plus(new))
        history = history.plus(record(epoch, architecture=depth, lipschitz=value, grew=epoch == 3))
        assert (decision is not None) == (epoch == 3)
        depth = "4-4-4" if epoch >= 3 else depth


def test_nothing_grows_beyond_the_maximum_or_after_the_last_epoch():
    rising = [2.0**epoch for epoch in range(164)]
    one = run_policy(TrialConfig(max_architecture="4-4-4"), rising)
    assert (one.growth_epochs, one[-1].architecture) == ((11,), "4-4-4")
    same = run_policy(TrialConfig(max_architecture="2-2-2"), rising)
    assert same.growth_epochs == ()
    last = History(record(e, lipschitz=2.0**e) for e in range(1, 31))
    assert decide(TrialConfig(epochs=30, window=1, reserve=1), last) is None


@pytest.mark.parametrize("window", [1, 3, 10])
@pytest.mark.parametrize("reserve", [1, 4, 12])
def test_the_final_depth_gets_its_reserve_whatever_the_constants_do(window, reserve):
    config = TrialConfig(epochs=40, window=window, reserve=reserve, rtol=1.4)
    for constants in ([1.0] * 40, [1.1**e for e in range(40)], [0.9**e for e in range(40)]):
        history = run_policy(config, constants)
        assert history[-1].architecture == "8-8-8"
        assert len(history) - history.last_growth >= reserve


def test_the_first_epoch_baseline_is_the_papers_words():
    """Constants rise by 5 % an epoch. It grows when mean(epochs k-9 to k) / first exceeds 1.4."""
    history = run_policy(TrialConfig(baseline="first-epoch"), [1.05**e for e in range(164)])
    ratios = {k: sum(1.05**e for e in range(k - 10, k)) / 10 for k in range(11, 30)}
    first = min(k for k, ratio in ratios.items() if ratio > 1.4)
    assert history.growth_epochs == (first, 2 * first)
    assert first < run_policy(TrialConfig(), [1.05**e for e in range(164)]).growth_epochs[0]


def test_hand_tuned_grows_after_60_and_110_of_164_epochs_in_that_proportion():
    history = run_policy(TrialConfig(policy="hand-tuned"), [1.0] * 164)
    assert (history.growth_epochs, history[-1].architecture) == ((60, 110), "8-8-8")
    assert TrialConfig(policy="hand-tuned", epochs=82).growth_epochs == (30, 55)


def test_sub_networks_grow_alone_each_by_its_own_constant():
    """After a growth, sub-network 1's constant rises by 10 % an epoch, 2's by 5 %, 3's never."""
    config = TrialConfig(policy="lipschitz-subnetworks")
    history, blocks, ages = History(), [2, 2, 2], [0, 0, 0]
    grown_at: dict[int, list[int]] = {0: [], 1: [], 2: []}
    for epoch in range(1, 165):
        constants = (1.1 ** ages[0], 1.05 ** ages[1], 1.0)
        new = record(
            epoch, architecture="-".join(map(str, blocks)), lipschitz_subnetworks=constants
        )  # fmt: skip
        decision = decide(config, history.plus(new))
        history = history.plus(new)
        ages = [age + 1 for age in ages]
        if decision is not None:
            for i, n in enumerate(decision.architecture.blocks):
                if n != blocks[i]:
                    assert n == 2 * blocks[i]
                    grown_at[i].append(epoch)
                    ages[i] = 0
            blocks = list(decision.architecture.blocks)
    # 1.1 ** k > 1.4 from k = 4 on, 1.05 ** k from 7 on. The third grows only when forced.
    assert grown_at == {0: [14, 28], 1: [17, 34], 2: [124, 134]}


def test_fixed_doubles_after_each_of_its_epochs_and_none_never():
    config = TrialConfig(policy="fixed", growth_epochs=(60, 110))
    history = run_policy(config, [1.0] * 164)
    assert history.growth_epochs == (60, 110)
    assert [history[e].architecture for e in (59, 60, 110)] == ["2-2-2", "4-4-4", "8-8-8"]
    assert run_policy(TrialConfig(policy="none"), [1.5**e for e in range(164)]).growth_epochs == ()


@pytest.mark.parametrize(
    ("given", "epochs", "expected"),
    [
        (0.8, 60, (48,)),
        ("0.2 0.5", 20, (4, 10)),
        ((0.5, 12), 20, (10, 12)),
        ("0.29", 100, (29,)),  # 0.29 * 100 is 28.999999999999996
        ("60 110", 164, (60, 110)),
        (60.0, 164, (60,)),
    ],
)
def test_growth_epochs_may_be_shares_of_the_horizon(given, epochs, expected):
    config = TrialConfig(policy="fixed", growth_epochs=given, epochs=epochs)
    assert config.growth_epochs == expected
    assert all(isinstance(epoch, int) for epoch in config.growth_epochs)
    # results have epochs, as they always had
    assert config.to_flat()["growth_epochs"] == " ".join(map(str, expected))
    assert config == TrialConfig(policy="fixed", growth_epochs=expected, epochs=epochs)
    assert run_policy(config, [1.0] * epochs).growth_epochs == expected


def test_a_configuration_remembers_the_share_and_another_horizon_has_its_own_epoch():
    config = TrialConfig(policy="fixed", growth_epochs="0.2 0.5", epochs=20)
    assert replace(config, epochs=60).growth_epochs == (12, 30)
    assert replace(config, epochs=60) == TrialConfig(
        policy="fixed", growth_epochs=(12, 30), epochs=60
    )
    assert TrialConfig.from_flat(config.to_flat()) == config
    assert pickle.loads(pickle.dumps(config)).replaced(epochs=60).growth_epochs == (12, 30)


def test_one_jump_grows_to_any_depth():
    config = TrialConfig(
        policy="fixed", growth_epochs=0.8, growth_architectures="7-3-9", architecture="1-1-1",
        initializer="default", epochs=10,
    )  # fmt: skip
    history = run_policy(config, [1.0] * 10)
    assert [r.architecture for r in history] == ["1-1-1"] * 8 + ["7-3-9"] * 2


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (0.02, ["growth_epochs 0.02 is 0 of epochs=20", "another share"]),
        ("0.98", ["growth_epochs 0.98 is 20 of epochs=20", "another share"]),
        ("0.5 0.51", ["10 10", "must rise"]),
        (1.5, ["between 0 and 1", "1.5"]),
        (0, ["between 0 and 1", "0"]),
        (-0.5, ["between 0 and 1", "-0.5"]),
        ("0.5;0.6", ["'0.5;0.6'", "separated by spaces"]),
        ("nan", ["finite"]),
    ],
)
def test_a_share_that_is_no_epoch_within_the_trial_is_one_clear_line(given, named):
    with pytest.raises(InputError) as caught:
        TrialConfig(policy="fixed", growth_epochs=given, epochs=20)
    assert all(text in str(caught.value) for text in named) and "\n" not in str(caught.value)


def test_the_command_line_takes_shares_and_epochs(capsys, tmp_path):
    space = tmp_path / "space.py"
    space.write_text("param_space = {'policy': 'fixed', 'lr_schedule': 'wsd', 'epochs': 20}")
    for given in (["0.2", "0.5"], ["4", "10"]):
        code, out, _ = run(capsys, "plan", space, "--growth-epochs", *given)
        assert code == 0 and "20 distinct" in out
    code, _, err = run(capsys, "plan", space, "--growth-epochs", "0.01")
    assert code == 2 and "growth_epochs 0.01 is 0 of epochs=20" in err
