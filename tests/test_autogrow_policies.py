"""AutoGrow's policies on complete scripted accuracy curves."""

from dataclasses import replace

import pytest
from conftest import record
from hypothesis import given, settings
from hypothesis import strategies as st

from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import History
from growsearch.trial.kinds import FineTune, Grow
from growsearch.trial.path import decide, next_phase


def grow(accuracies, **fields):
    """The history of a trial with scripted accuracies, and its decisions by epoch."""
    config = TrialConfig(**{"policy": "periodic", "epochs": 1000, **fields})
    history, architecture, decisions = History(), config.architecture, {}
    for epoch in range(1, config.growing_epochs + 1):
        new = record(epoch, architecture=architecture, val_accuracy=accuracies(epoch))
        decision = decide(config, history.plus(new))
        history = history.plus(replace(new, grew=isinstance(decision, Grow)))
        if decision is not None:
            decisions[epoch] = decision
        if isinstance(decision, Grow):
            architecture = str(decision.architecture)
        if isinstance(decision, FineTune):
            return history, decisions
    raise AssertionError("growing never ended")


def rising_until(epoch):
    return lambda e: 10 + 0.1 * min(e, epoch)


def test_p_autogrow_finds_42_42_42_after_372_epochs(autogrow):
    for last_rise in autogrow["periodic"]["42-42-42 after 372"]:
        history, decisions = grow(rising_until(last_rise))
        assert (history[-1].architecture, len(history)) == ("42-42-42", 372)
        assert history.growth_epochs == tuple(range(3, 372, 3))
        stops = [e for e, decision in decisions.items() if "stops growing" in decision.reason]
        assert stops == autogrow["periodic"]["last stops"]


@pytest.mark.parametrize("last_rise", [263, 267])
def test_p_autogrow_finds_another_depth_if_accuracy_rises_an_epoch_less_or_more(last_rise):
    history, _ = grow(rising_until(last_rise))
    assert len(history) != 372


def test_p_autogrow_needs_j_epochs_before_anything_stops():
    history, _ = grow(lambda epoch: 50.0)
    assert (history[-1].architecture, len(history)) == ("13-13-12", 108)


def test_c_autogrow_grows_each_sub_network_once_when_accuracy_is_flat(autogrow):
    history, decisions = grow(lambda epoch: 50.0, policy="convergent")
    expected = autogrow["convergent"]
    assert history[-1].architecture == expected["found"]
    assert len(history) == expected["growing_epochs"]
    assert list(history.growth_epochs) == expected["growths"]
    assert "sub-network 3 stops growing" in decisions[500].reason


def test_c_autogrow_by_hand_over_a_curve_that_rises_after_some_growths():
    """With K=2, accuracy is checked every two epochs; it rises in (4, 6] and (10, 12] only.

    Epoch 2: too few values. 4: flat, sub-network 1 grows. 6: accuracy rose, nothing happens.
    8: flat, 2 grows. 10: flat, 2 stops and 3 grows. 12: accuracy rose. 14: flat, 1 grows.
    16: flat, 1 stops and 3 grows. 18: flat, 3 stops, and no sub-network is left.
    """
    history, decisions = grow(
        lambda e: 50.0 + (e > 4) + (e > 10), policy="convergent", interval=2
    )  # fmt: skip
    grown = {e: str(d.architecture) for e, d in decisions.items() if isinstance(d, Grow)}
    assert grown == {4: "2-1-1", 8: "2-2-1", 10: "2-2-2", 14: "3-2-2", 16: "3-2-3"}
    assert isinstance(decisions[18], FineTune) and len(history) == 18
    stops = {e: d.reason for e, d in decisions.items() if "stops" in d.reason}
    assert [(e, r.split("sub-network ")[1][0]) for e, r in stops.items()] == [
        (10, "2"), (16, "1"), (18, "3"),
    ]  # fmt: skip


def test_sub_networks_grow_in_turn_and_the_turn_skips_those_that_have_stopped(autogrow):
    history, _ = grow(rising_until(1000), epochs=300, finetune_epochs=200)
    depths = list(dict.fromkeys(r.architecture for r in history))
    assert depths[:5] == autogrow["order"]["depths"]
    # K=1, J=1: flat only at epoch 5. The first sub-network grew last, so it stops.
    curve = [10, 11, 12, 13, 13, 14, 15, 16, 17, 18]
    _, decisions = grow(
        lambda e: curve[e - 1], interval=1, patience=1, finetune_epochs=1, epochs=11
    )  # fmt: skip
    grown = [str(d.architecture) for d in decisions.values() if isinstance(d, Grow)]
    assert grown == [
        "2-1-1", "2-2-1", "2-2-2", "3-2-2", "3-3-2", "3-3-3", "3-4-3", "3-4-4", "3-5-4",
    ]  # fmt: skip


def test_a_rise_of_just_under_tau_in_floating_point_is_none():
    """90.05 - 90.0 is 0.04999... in float64; AutoGrow's program compares these floats too."""
    assert 90.05 - 90.0 < 0.05
    tie, _ = grow(lambda e: 90.05 if e > 1 else 90.0, interval=1, patience=1)
    assert len(tie) == len(grow(lambda e: 90.0, interval=1, patience=1)[0])
    above, _ = grow(lambda e: 90.06 if e > 1 else 90.0, interval=1, patience=1)
    assert len(above) > len(tie)


def test_accuracy_is_the_maximum_so_far_and_not_the_latest():
    """A dip and a recovery to the old accuracy do not count as a rise."""
    dip = [50.0, 40.0, 41.0, 42.0, 43.0, 44.0]
    flat, _ = grow(lambda e: 50.0, interval=1, patience=2)
    dipped, _ = grow(lambda e: dip[min(e, 6) - 1], interval=1, patience=2)
    assert [r.architecture for r in dipped] == [r.architecture for r in flat]


def test_caps_stop_a_sub_network_and_all_caps_end_growing():
    history, decisions = grow(rising_until(1000), max_architecture="2-4-1")
    assert history[-1].architecture == "2-4-1"
    assert [str(d.architecture) for d in decisions.values() if isinstance(d, Grow)] == [
        "2-1-1", "2-2-1", "2-3-1", "2-4-1"
    ]  # fmt: skip
    assert decisions[15].reason == "max_architecture is reached"
    # Flat: the first sub-network is at its cap at 2, the second stops at 3, the third at 4.
    history, _ = grow(lambda e: 50.0, interval=1, patience=1, max_architecture="2-3-9")
    assert (history[-1].architecture, len(history)) == ("2-2-2", 4)
    history, decisions = grow(lambda e: 50.0, policy="convergent", max_architecture="1-1-1")
    assert (len(history), len(decisions)) == (100, 1)


def test_growing_ends_with_the_epochs_that_fine_tuning_leaves():
    for policy in ("periodic", "convergent"):
        history, decisions = grow(
            rising_until(1000), policy=policy, epochs=230, finetune_epochs=200
        )
        assert len(history) == 30
        assert "epochs=230" in decisions[30].reason


@pytest.mark.parametrize(
    ("short", "phase"), [(0.49, "training"), (0.5, "training"), (0.51, "initializing")]
)
def test_adam_init_ends_within_half_a_point_of_the_old_training_accuracy(short, phase):
    config = TrialConfig(policy="periodic", initializer="adam")
    history = History([record(1, train_accuracy=80.0, grew=True)])
    history = history.plus(record(2, phase="initializing", train_accuracy=80.0 - short))
    assert next_phase(config, history, None) == phase


def test_adam_init_ends_after_ten_epochs_at_the_latest():
    config = TrialConfig(policy="periodic", initializer="adam")
    history, phases = History([record(1, train_accuracy=80.0, grew=True)]), []
    for epoch in range(2, 13):
        history = history.plus(record(epoch, phase="initializing", train_accuracy=10.0))
        phases.append(next_phase(config, history, None))
    assert phases[:10] == ["initializing"] * 9 + ["training"]


def test_epochs_that_initialize_new_blocks_are_not_counted():
    """Neither the interval nor the rise counts them, at any accuracy."""
    config = TrialConfig(policy="periodic", initializer="adam", interval=2, patience=4, epochs=400)
    plain, apart = History(), History()
    depth = config.architecture
    for epoch in range(1, 100):
        new = record(epoch, architecture=depth, val_accuracy=60.0 + (epoch < 9) * epoch)
        decision = decide(config, plain.plus(new))
        assert decide(config, apart.plus(new)) == decision
        new = replace(new, grew=isinstance(decision, Grow))
        plain, apart = plain.plus(new), apart.plus(new)
        if isinstance(decision, FineTune):
            break
        if isinstance(decision, Grow):
            depth = str(decision.architecture)
            between = record(0, phase="initializing", architecture=depth, val_accuracy=99.0)
            apart = apart.plus(between)
            assert decide(config, apart) is None
    else:
        raise AssertionError("growing never ended")


def simulated_convergent(accuracies, interval, caps, tau=0.05):
    """c-AutoGrow with mutable state and intervals of training, as the paper describes it."""
    depths, turn = [1] * len(caps), 0
    alive = [i for i, cap in enumerate(caps) if cap > 1]
    best: list[float] = []
    stream = iter(accuracies)

    def train():
        for _ in range(interval):
            best.append(max([next(stream), *best[-1:]]))

    def converged():
        return len(best) > interval and best[-1] - best[-1 - interval] < tau

    train()
    while alive:
        if not converged():
            train()
            continue
        while turn not in alive:
            turn = (turn + 1) % len(caps)
        grown = turn
        depths[grown] += 1
        train()
        if converged() or depths[grown] == caps[grown]:
            alive.remove(grown)
        turn = (turn + 1) % len(caps)
    return depths, len(best)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 0.0, 0.04, 0.05, 0.3, -2.0]), min_size=80, max_size=80),
    st.integers(1, 6),
    st.lists(st.integers(1, 9), min_size=3, max_size=3),
)
def test_c_autogrow_is_the_papers_loop_over_any_curve(steps, interval, caps):
    curve = [50.0 + sum(steps[: e + 1]) for e in range(len(steps))]
    curve += [curve[-1]] * 700
    cap = "-".join(map(str, caps))
    history, _ = grow(
        lambda e: curve[e - 1], policy="convergent", interval=interval, max_architecture=cap
    )
    depths, epochs = simulated_convergent(curve, interval, caps)
    assert list(Architecture(history[-1].architecture).blocks) == depths
    assert len(history) == epochs


def simulated(accuracies, interval, patience, m, tau=0.05):
    """The depths that p-AutoGrow finds, with mutable state, as in algorithm 1."""
    depths, alive, turn, last = [1] * m, list(range(m)), 0, None
    best: list[float] = []
    for accuracy in accuracies:
        best.append(max([accuracy, *best[-1:]]))
        if len(best) % interval:
            continue
        few = len(best) <= patience
        if last is not None and not few and best[-1] - best[-1 - patience] < tau and last in alive:
            alive.remove(last)
        if not alive:
            return depths
        while turn not in alive:
            turn = (turn + 1) % m
        depths[turn] += 1
        last, turn = turn, (turn + 1) % m
    return None


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 0.0, 0.04, 0.05, 0.3, -2.0]), min_size=120, max_size=120),
    st.integers(1, 4),
    st.integers(4, 12),
    st.sampled_from(["basic3resnet", "basic4resnet"]),
)
def test_p_autogrow_is_algorithm_1_over_any_curve(steps, interval, patience, network):
    curve, accuracy = [], 50.0
    for step in steps:
        accuracy += step
        curve.append(accuracy)
    curve += [curve[-1]] * 200  # flat at the end: all sub-networks stop
    history, _ = grow(
        lambda e: curve[e - 1], interval=interval, patience=patience, network=network, epochs=520
    )
    m = 3 if network == "basic3resnet" else 4
    found = simulated(curve, interval, patience, m)
    assert list(Architecture(history[-1].architecture).blocks) == found


@pytest.mark.parametrize("policy", ["convergent", "periodic"])
def test_by_default_a_trial_of_any_length_has_a_chance_to_grow(policy):
    least = 3 if policy == "convergent" else 2  # it compares two intervals
    for epochs in [*range(least, 30), 199, 200, 201, 202, 300, 399, 400, 401, 5000]:
        config = TrialConfig(policy=policy, epochs=epochs)
        assert config.policy.known_epochs(config) <= config.growing_epochs, epochs
        assert config.notes == []
    with pytest.raises(InputError, match=r"epochs=1 leaves .*; give 2 or more"):
        TrialConfig(policy=policy, epochs=1)
