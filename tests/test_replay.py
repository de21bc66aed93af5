"""Replays: a scheduler decides over recorded epochs, and sees no later one."""

import json
import math
import random
from dataclasses import replace

import numpy as np
import pytest
from conftest import record, run

from growsearch.cli.replay import USUAL
from growsearch.searches.recorded import RecordedTrial, Recording
from growsearch.stopping.cost import OwnNumber, metric_of
from growsearch.study.folder import create_study
from growsearch.study.results import write_trial
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import History
from growsearch.tuning.baselines import MOASHA, ShippedMOASHA, is_behind
from growsearch.tuning.replay import ORACLE
from growsearch.tuning.replays import Spread, compare, contender

EPOCHS = 12
PARAMETERS = {"1-1-1": 100, "2-2-2": 200, "4-4-4": 400}
SCHEDULERS = (
    "none", "none,order=cheapest", "pareto", "pareto,racing=2", "pareto,audit=0", "asha",
    "asha,grace_period=2,reduction_factor=2", "median", "halving", "rank-median", "mo-asha",
    "mo-asha-shipped", "none,sampler=nsga2", "branches", ORACLE,
)  # fmt: skip


def trial(name: str, growths: dict[int, str], accuracies: list[float]) -> RecordedTrial:
    """A trial that grows after these epochs; trials share epochs until their growths differ."""
    config = TrialConfig(
        policy="fixed", growth_epochs=tuple(growths), growth_architectures=tuple(growths.values()),
        architecture="1-1-1", epochs=EPOCHS, initializer="zero", lr_schedule="constant",
    )  # fmt: skip
    history, architecture, paid, path = [], "1-1-1", 0, ""
    for epoch in range(1, EPOCHS + 1):
        parameters = PARAMETERS[architecture]
        paid += parameters
        path += architecture
        history.append(
            record(
                epoch, architecture=architecture, parameters=parameters, param_epochs=paid,
                ppe=paid / epoch, macs=parameters, train_flops=6.0 * paid, key=path,
                seconds=parameters / 100, val_accuracy=accuracies[epoch - 1],
                grew=epoch in growths, status="completed" if epoch == EPOCHS else "running",
            )
        )  # fmt: skip
        architecture = growths.get(epoch, architecture)
    return RecordedTrial(name, config, History(history))


def recording(seed: int = 0) -> Recording:
    """32 trials: those that grow more become better, with noise of the shared epochs."""
    noise, known = random.Random(seed), {}
    trials = []
    for first in range(1, 9):
        for second in (None, first + 1, first + 2, first + 3):
            growths = {first: "2-2-2"} | ({second: "4-4-4"} if second else {})
            accuracies, architecture, path = [], "1-1-1", ""
            for epoch in range(1, EPOCHS + 1):
                path += architecture
                best = 50 + 15 * math.log2(PARAMETERS[architecture] / 100)
                drawn = known.setdefault(path, noise.gauss(0, 2))
                accuracies.append(best * (1 - math.exp(-epoch / 4)) + drawn)
                architecture = growths.get(epoch, architecture)
            trials.append(trial(f"{first}-{second}", growths, accuracies))
    return Recording(tuple(trials), "ppe", metric_of("val_accuracy"))


@pytest.fixture(scope="module")
def recorded() -> Recording:
    return recording()


def test_without_stopping_each_distinct_epoch_is_paid_once(recorded):
    distinct = {r.key: r.parameters for t in recorded.trials for r in t.history}
    for workers in (1, 3):
        done = contender("none").replay(recorded, workers=workers)
        assert done.paid == sum(distinct.values())
        assert {c.trial for c in done.completions} == {t.name for t in recorded.trials}
        assert done.hypervolumes[-1] == pytest.approx(1)
    alone = contender("none").replay(recorded, shared=False)
    assert alone.paid == sum(r.parameters for t in recorded.trials for r in t.history)


def test_time_is_that_of_the_workers(recorded):
    """Unshared trials of one worker follow each other; of as many workers, they run at once."""
    seconds = [sum(r.seconds for r in t.history) for t in recorded.trials]
    one = contender("none").replay(recorded, shared=False)
    every = contender("none").replay(recorded, shared=False, workers=len(seconds))
    assert one.seconds == pytest.approx(sum(seconds))
    assert every.seconds == pytest.approx(max(seconds))


def decided_alike(recorded: Recording, text: str, workers: int) -> bool:
    """Whether decisions stay what they were if all epochs that end later have other losses and
    accuracies.
    """
    whole = contender(text).replay(recorded, workers=workers, seed=5)
    noise, alike = random.Random(1), True
    for k in (40, 60, 80):
        known = {key for key, number in whole.ended.items() if number <= k}
        other = tuple(
            replace(
                t,
                history=History(
                    r
                    if r.key in known
                    else replace(
                        r,
                        val_accuracy=noise.uniform(0, 100),
                        val_loss=noise.uniform(0, 9),
                        train_loss=noise.uniform(0, 9),
                        lipschitz=noise.uniform(0, 9),
                    )
                    for r in t.history
                ),
            )
            for t in recorded.trials
        )
        changed = Recording(other, recorded.cost, recorded.metric)
        done = contender(text).replay(changed, workers=workers, seed=5)
        before = [event for event in whole.events if event[0] <= k]
        assert before
        alike = alike and done.events[: len(before)] == before
    return alike


@pytest.mark.parametrize("text", SCHEDULERS[1:-1])
@pytest.mark.parametrize("workers", [1, 3])
def test_no_scheduler_sees_an_epoch_that_has_not_ended(recorded, text, workers):
    assert decided_alike(recorded, text, workers)


def test_a_scheduler_that_sees_later_epochs_would_be_found(recorded):
    assert not decided_alike(recorded, ORACLE, workers=1)


@pytest.mark.slow
def test_the_oracle_pays_least_and_loses_nothing(recorded):
    found = {t: compare(recorded, t, workers=1, seeds=range(5)) for t in SCHEDULERS}
    oracle = found[ORACLE]
    assert oracle.front_lost == 0
    assert oracle.lossless == 100
    assert all(oracle.paid.median <= one.paid.median for t, one in found.items() if t == "none")
    assert oracle.paid.lowest >= 100 * recorded.to_pay(recorded.front) / (
        recorded.to_pay(shared=False)
    )


def test_the_front_is_that_of_brute_force(recorded):
    ends = {t.name: (t.history[-1].ppe, t.history[-1].val_accuracy) for t in recorded.trials}
    front = {
        name
        for name, (cost, accuracy) in ends.items()
        if all(c > cost or a < accuracy or (c, a) == (cost, accuracy) for c, a in ends.values())
    }
    assert recorded.front == front
    done = contender("none").replay(recorded, seed=3)
    # the front is complete with its last member, and not before
    last = max(c.paid for c in done.completions if c.trial in front)
    assert done.paid_to(1.0) == last


@pytest.mark.parametrize(
    ("text", "last"),
    [("none", math.nan), ("none", -math.inf), (ORACLE, math.nan), (ORACLE, -math.inf),
     ("pareto", math.nan), ("branches", math.nan)],
)  # fmt: skip
def test_a_completed_trial_whose_metric_is_not_finite_has_no_outcome(text, last):
    without = (*(trial(f"{n}", {n: "2-2-2"}, [50.0 + n] * EPOCHS) for n in (1, 2, 3)),)
    odd = trial("odd", {4: "2-2-2"}, [40.0] * (EPOCHS - 1) + [last])
    alone, found = (
        Recording(trials, "ppe", metric_of("val_accuracy")) for trials in (without, (*without, odd))
    )
    assert (found.front, found.bounds, found.hypervolume) == (
        alone.front, alone.bounds, alone.hypervolume
    )  # fmt: skip
    done = contender(text).replay(found, seed=0)
    assert 0 < done.hypervolumes[-1] <= 1


@pytest.mark.parametrize("text", ["none", "pareto,racing=2", "asha", "branches"])
def test_a_number_of_a_tasks_own_is_replayed_like_the_metric_that_it_equals(recorded, text):
    """A loss that is lower where the accuracy is higher, named `bits` in the records."""
    own = replace(
        recorded, metric=OwnNumber(number="val_bits", better="lower"),
        trials=tuple(
            replace(t, history=History(
                replace(r, metrics={"val_bits": 100 - r.val_accuracy}) for r in t.history
            ))
            for t in recorded.trials
        ),
    )  # fmt: skip
    assert own.front == recorded.front
    if text in ("none", "asha"):  # whose decisions do not depend on the metric's range
        mine, other = (contender(text).replay(one, seed=1) for one in (own, recorded))
        assert [c.trial for c in mine.completions] == [c.trial for c in other.completions]
    assert contender(text).replay(own, seed=1).paid_to(0.5) is not None


def test_equal_seeds_replay_equally_and_others_in_another_order(recorded):
    def order(seed: int) -> list[str]:
        return [c.trial for c in contender("none").replay(recorded, seed=seed).completions]

    assert order(1) == order(1) != order(2)


def test_cheapest_first_is_in_the_order_of_cost(recorded):
    done = contender("none,order=cheapest").replay(recorded, seed=2, shared=False)
    costs = [recorded.outcomes[c.trial][0] for c in done.completions]
    assert costs == sorted(costs)


def test_what_is_paid_may_be_counted_in_any_sum_over_epochs(recorded):
    """Here an epoch's training FLOPs are six times its parameters."""
    in_flops = replace(recorded, unit="flops")
    found = [contender("pareto").replay(r, seed=1).paid for r in (recorded, in_flops)]
    assert found[1] == pytest.approx(6 * found[0])


@pytest.mark.parametrize("sampler", ["nsga2", "tpe"])
def test_a_sampler_draws_each_recorded_trial_once(recorded, sampler):
    done = contender(f"none,sampler={sampler}").replay(recorded, workers=2, seed=1)
    assert sorted(c.trial for c in done.completions) == sorted(t.name for t in recorded.trials)
    assert done.paid == recorded.to_pay()


def test_halving_takes_the_best_of_each_rung_on(recorded):
    """Of 32 trials, 16 go on after epoch 3 and 8 after epoch 6."""
    noise = random.Random(3)  # no two trials are level
    trials = tuple(
        replace(t, history=History(replace(r, val_accuracy=noise.random()) for r in t.history))
        for t in recorded.trials
    )
    done = contender("halving,grace_period=3,reduction_factor=2").replay(
        replace(recorded, trials=trials), seed=1
    )
    left = list(trials)
    for epoch, keep in ((3, 16), (6, 8)):
        left = sorted(left, key=lambda t: -t.history[epoch - 1].val_accuracy)[:keep]
    assert {c.trial for c in done.completions} == {t.name for t in left}


def test_the_median_of_layers_stops_what_is_behind():
    """Points below a front that half of the trials are on."""
    front = [(1.0, 4.0), (2.0, 3.0), (3.0, 2.0), (4.0, 1.0)]
    for mine, stops in (((2.5, 2.5), False), ((5.0, 5.0), True)):
        layers = [0] * 4 + [0 if mine == (2.5, 2.5) else 1]
        assert stops == (layers[-1] > sorted(layers)[2])
        assert stops == is_behind(np.array(front), np.array(mine))


def test_moasha_as_shipped_takes_an_order_for_places_and_the_mended_one_does_not():
    """Syne Tune's own case: the places are 1, 2, 3, 0, and the order is 3, 0, 1, 2."""
    objectives = np.array([[2.0, 2.0], [3.0, 3.0], [4.0, 4.0], [1.0, 1.0]])
    assert MOASHA().priorities(objectives).tolist() == [1, 2, 3, 0]
    assert ShippedMOASHA().priorities(objectives).tolist() == [3, 0, 1, 2]


def test_in_a_layer_the_mended_moasha_takes_the_ends_first_in_any_unit():
    """On a line of equal steps in log10 cost: an end, the other end, the middle."""
    objectives = np.array([[1.0, 4.0], [10.0, 3.0], [100.0, 2.0], [1000.0, 1.0], [1e4, 0.0]])
    for unit in (1.0, 1e9):
        places = MOASHA().priorities(objectives * [unit, 1.0]).tolist()
        assert (places[0], places[4], places[2]) == (0, 1, 2)


def test_a_replay_that_never_gets_there_counts_as_the_worst():
    spread = Spread.of([3.0, None, 1.0, 2.0])
    assert (spread.median, spread.lowest, spread.highest) == (2.5, 1.0, math.inf)
    assert spread.never == 0.25


def test_a_scheduler_that_starts_trials_itself_is_refused(recorded):
    with pytest.raises(InputError, match="'hyperband' cannot be replayed"):
        contender("hyperband").replay(recorded)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("none,order=best", "unknown order 'best' in 'none,order=best'; give cheapest"),
        ("none,sampler=tpi", "unknown sampler 'tpi'; choose from gp"),
        ("halving,eta=3", "'halving,eta=3': halving has no 'eta'"),
        ("parteo", "unknown scheduler 'parteo'; did you mean 'pareto'"),
        ("pareto,racing", "'pareto,racing' is no scheduler; write its name"),
        ("asha,racing=3", "racing=3 belongs to scheduler 'pareto'"),
    ],
)
def test_what_is_no_scheduler_is_said_in_one_line(text, said):
    with pytest.raises(InputError, match=said):
        contender(text)


def test_a_figure_in_a_folder_that_is_not_there_is_refused_before_anything_is_read(
    tmp_path, capsys
):
    figure = tmp_path / "none" / "figure.png"
    code, out, err = run(capsys, "replay", tmp_path / "no study", "--figure", figure)
    assert (code, out) == (2, "")
    assert err == (
        f"growsearch replay: error: figure {str(figure)!r} is in a folder that does not exist; "
        "make it first\n"
    )


def test_replaying_by_another_metric_as_its_plugin_is_not_loaded_is_told(
    tmp_path, capsys, caplog, recorded
):
    folder = create_study(tmp_path / "study", searched=[], settings={"metric": "smooth"})
    for one in recorded.trials[:4]:
        write_trial(folder, one.name, one.config, list(one.history))
    replayed = "replay", folder, "--schedulers", "none", "--seeds", 1, "--workers", 1, "--json"
    code, out, _ = run(capsys, *replayed)
    assert (code, json.loads(out)["metric"]) == (0, "val_accuracy")
    assert caplog.messages == [
        "Metric 'smooth' is of a plugin that is not loaded, so trials are compared by "
        "val_accuracy; give --plugin where the command has it, or --metric."
    ]
    caplog.clear()
    assert run(capsys, *replayed, "--metric", "val_accuracy")[0] == 0
    assert caplog.messages == []


@pytest.mark.long
def test_the_command_compares_schedulers_on_a_study_and_refuses_one_that_was_cut(
    tmp_path, capsys, ray
):
    space = tmp_path / "space.py"
    space.write_text(
        "from ray import tune\n"
        "param_space = {'policy': 'fixed', 'growth_epochs': tune.grid_search(['1', '2', '3']),\n"
        "    'architecture': '1-1-1', 'initializer': 'zero', 'train_size': 100, 'epochs': 4}\n"
    )
    out = tmp_path / "study"
    search = ["search", space, "--dataset", "digits", "--scheduler", "none", "--out", out]
    assert run(capsys, *search)[0] == 0
    code, printed, errors = run(capsys, "replay", out, "--seeds", 3, "--json", "--cost", "flops")
    assert code == 0, errors
    found = json.loads(printed)
    assert found["trials"] == 3
    assert [one["scheduler"] for one in found["schedulers"]] == [*USUAL, *USUAL]
    none = found["schedulers"][0]
    # three trials of four epochs share one and then two of them: 9 distinct epochs of 12
    assert none["paid"]["median"] == pytest.approx(found["distinct_percent"])
    figure = tmp_path / "figure.png"
    assert run(capsys, "replay", out, "--seeds", 2, "--paid", "flops", "--figure", figure)[0] == 0
    assert figure.read_bytes().startswith(b"\x89PNG")
    code, printed, errors = run(capsys, "replay", out, "--seeds", 0)
    assert (code, errors) == (
        2, "growsearch replay: error: seeds=0 is less than 1; give 1 or more\n"
    )  # fmt: skip
