import itertools
import math
import pickle
import timeit
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from growsearch.stopping.safe import (
    AccuracyBound,
    Calibration,
    Completed,
    Front,
    SafeStopping,
    Standing,
    Stop,
)
from growsearch.trial.errors import InputError

# Complete searches, simulated epoch by epoch.


@dataclass(frozen=True)
class Trial:
    name: str
    parameters: list[int]
    accuracies: list[float]

    @property
    def epochs(self) -> int:
        return len(self.parameters)

    @property
    def accuracy(self) -> float:
        return self.accuracies[-1]

    def lower_ppe(self, epoch: int) -> float:
        """The final PPE if the network does not grow again; a network never shrinks."""
        paid, now = sum(self.parameters[:epoch]), self.parameters[epoch - 1]
        return (paid + now * (self.epochs - epoch)) / self.epochs

    def lower_costs(self, epoch: int, costs: int) -> tuple[float, ...]:
        """Bounds of the PPE and, for two costs, of the final number of parameters."""
        return (self.lower_ppe(epoch), float(self.parameters[epoch - 1]))[:costs]

    def costs(self, costs: int) -> tuple[float, ...]:
        return self.lower_costs(self.epochs, costs)

    def standing(self, epoch: int, costs: int = 1) -> Standing:
        best = max(self.accuracies[:epoch])
        lower = self.lower_costs(epoch, costs)
        return Standing(self.name, epoch / self.epochs, best, lower)

    @property
    def curve(self) -> list[tuple[float, float]]:
        return [(t / self.epochs, a) for t, a in enumerate(self.accuracies, start=1)]


def search(trials, stopping, workers, pick, costs=1, exact=False, watch=None):
    """The completed trials, and the stops by name; `pick` chooses the trial of the next epoch."""
    waiting, running, completed, stopped = list(trials), [], [], {}
    while waiting or running:
        while waiting and len(running) < workers:
            running.append([waiting.pop(0), 0])
        slot = running[pick(len(running))]
        slot[1] += 1
        trial, epoch = slot
        standing = trial.standing(epoch, costs)
        if exact:
            standing = replace(standing, costs=trial.costs(costs))
        if epoch == trial.epochs:
            assert stopping.verdict(standing) is None
            stopping.completed(trial.name, trial.costs(costs), trial.accuracy, trial.curve)
            completed.append(trial)
            running.remove(slot)
            continue
        stop = stopping.verdict(standing)
        if watch:
            watch(standing, completed, stop)
        if stop:
            stopped[trial.name] = stop
            running.remove(slot)
    return completed, stopped


@st.composite
def searches(draw):
    """Trials with few distinct values, so that ties are common; number of workers; `pick`."""
    shapes = draw(
        st.lists(
            st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6)), min_size=1, max_size=5),
            min_size=1,
            max_size=10,
        )
    )
    trials = [
        Trial(
            f"t{i}",
            list(itertools.accumulate((growth for growth, _ in shape), initial=1))[1:],
            [float(accuracy) for _, accuracy in shape],
        )
        for i, shape in enumerate(shapes)
    ]
    random = draw(st.randoms(use_true_random=False))
    return trials, draw(st.integers(1, 6)), random.randrange


def truth(trials, excess=0.0):
    accuracies = {trial.name: trial.accuracy + excess for trial in trials}
    return lambda standing: accuracies[standing.trial]


def front_values(trials, costs):
    """The non-dominated (costs, accuracy), by comparing all pairs."""
    points = {(*trial.costs(costs), -trial.accuracy) for trial in trials}
    return {
        p
        for p in points
        if not any(q != p and all(a <= b for a, b in zip(q, p, strict=True)) for q in points)
    }


@pytest.mark.parametrize("costs", [1, 2])
@settings(deadline=None)
@given(searches(), st.booleans(), st.sampled_from([0.0, 0.5, 1.0]))
def test_with_a_bound_that_is_never_wrong_the_front_stays_as_it_is(costs, drawn, exact, excess):
    trials, workers, pick = drawn
    stopping = SafeStopping(audit=0, upper=truth(trials, excess))
    completed, _ = search(trials, stopping, workers, pick, costs, exact)
    assert front_values(completed, costs) == front_values(trials, costs)
    found = {(*m.costs, -m.accuracy) for m in stopping.front.members}
    assert found == front_values(trials, costs)


def dominators(standing, completed, least_accuracy):
    """Accuracies, by name, of the completed trials with no higher cost and enough accuracy."""
    costs = len(standing.costs)
    return {
        trial.name: trial.accuracy
        for trial in completed
        if all(c <= b for c, b in zip(trial.costs(costs), standing.costs, strict=True))
        and trial.accuracy >= least_accuracy
    }


@pytest.mark.parametrize("costs", [1, 2])
@settings(deadline=None)
@given(searches(), st.sampled_from([0.0, 1.0, 2.5]))
def test_a_trial_is_stopped_as_soon_as_a_completed_one_dominates_its_bounds(costs, drawn, delta):
    """Every epoch of a search is compared with all completed trials."""
    trials, workers, pick = drawn
    upper = truth(trials, 0.5)

    def watch(standing, completed, stop):
        expected = dominators(standing, completed, upper(standing) - delta)
        assert (stop is not None) == bool(expected)
        if stop:
            assert expected[stop.dominated_by.trial] == max(expected.values())

    stopping = SafeStopping(audit=0, delta=delta, upper=upper)
    search(trials, stopping, workers, pick, costs, watch=watch)


@settings(deadline=None)
@given(searches(), st.sampled_from([0.5, 1.0, 2.0]))
def test_slack_costs_no_more_accuracy_than_itself(drawn, delta):
    trials, workers, pick = drawn
    stopping = SafeStopping(audit=0, delta=delta, upper=truth(trials))
    completed, _ = search(trials, stopping, workers, pick)
    for trial in trials:
        affordable = [c.accuracy for c in completed if c.costs(1) <= trial.costs(1)]
        assert max(affordable) >= trial.accuracy - delta


def test_slack_stops_what_is_better_by_no_more():
    trials = [Trial("a", [1, 1], [5, 5]), Trial("b", [1, 1], [5, 6]), Trial("c", [1, 1], [5, 7])]
    stopping = SafeStopping(audit=0, delta=1, upper=truth(trials))
    completed, stopped = search(trials, stopping, 1, lambda n: 0)
    assert [trial.name for trial in completed] == ["a", "c"]
    assert stopped == {"b": Stop("b", Completed("a", (1.0,), 5), (1.0,), 6.0, 1.0)}


# The front.

coordinates = st.integers(0, 6).map(float)


@pytest.mark.parametrize("costs", [1, 2, 3])
@settings(deadline=None)
@given(st.data())
def test_the_front_knows_the_most_accurate_trial_that_costs_no_more(costs, data):
    points = st.tuples(st.tuples(*[coordinates] * costs), coordinates)
    front, added = Front(), []
    for i, (cost, accuracy) in enumerate(data.draw(st.lists(points, max_size=15))):
        front.add(Completed(f"t{i}", cost, accuracy))
        added.append(Completed(f"t{i}", cost, accuracy))
        bound, least = data.draw(points)
        affordable = [a for a in added if all(c <= b for c, b in zip(a.costs, bound, strict=True))]
        best = max((a.accuracy for a in affordable), default=-1)
        found = front.dominator(bound, least)
        if best < least:
            assert found is None
        else:
            assert found in affordable and found.accuracy == best
    assert front.dominator((math.nan,) * costs, 0.0) is None
    assert front.dominator((math.inf,) * costs, math.nan) is None


# The calibrated bound.


def simulated(rng, name="fresh", epochs=None) -> Trial:
    """A trial with a noisy curve; each growth lowers it by up to 30 points, then raises it."""
    epochs = epochs or int(rng.integers(20, 61))
    u = np.arange(1, epochs + 1) / epochs
    curve = rng.normal(86, 3) - rng.uniform(40, 70) * np.exp(-u / rng.uniform(0.03, 0.12))
    parameters = np.full(epochs, rng.integers(100, 200))
    for growth in rng.uniform(0.1, 0.7, rng.integers(1, 4)):
        lift, dip = rng.uniform(0.3, 2), rng.uniform(5, 30)
        since = u - growth
        curve -= np.where(since < 0, lift, dip * np.exp(-since.clip(0) / 0.03))
        parameters += np.where(since < 0, 0, rng.integers(50, 150))
    curve = (curve + rng.normal(0, 0.5, epochs)).clip(5, 99.9)
    return Trial(name, parameters.tolist(), curve.tolist())


def uppers(bound: AccuracyBound, trial: Trial) -> list[float]:
    """The bounds after each epoch but the last."""
    standings = [trial.standing(epoch) for epoch in range(1, trial.epochs)]
    return [bound.upper(s.progress, s.best_accuracy) for s in standings]


def calibrated(rng, trials: int, alpha: float) -> AccuracyBound:
    calibration = Calibration(alpha)
    for trial in (simulated(rng) for _ in range(trials)):
        calibration.learn(trial.curve, trial.accuracy)
    assert calibration.bound
    return calibration.bound


@pytest.mark.parametrize(("trials", "alpha"), [(13, 0.1), (28, 0.2), (7, 0.5)])
def test_the_bound_is_wrong_at_any_epoch_with_probability_alpha_at_most(trials, alpha):
    """The probability is also at least alpha - 1 / (n + 1) for n calibrating trials.

    Each of 200 independent calibrations judges one new trial. The tolerance is three binomial
    standard deviations.
    """
    rng, replays, wrong = np.random.default_rng(7), 200, 0
    for _ in range(replays):
        bound, fresh = calibrated(rng, trials, alpha), simulated(rng)
        wrong += min(uppers(bound, fresh)) < fresh.accuracy
    tolerance = 3 * math.sqrt(alpha * (1 - alpha) / replays)
    calibrating = trials - trials // 3
    assert alpha - 1 / (calibrating + 1) - tolerance <= wrong / replays <= alpha + tolerance


def test_half_way_the_bound_leaves_less_than_half_of_what_100_percent_does():
    rng, slack, trivial = np.random.default_rng(7), [], []
    for _ in range(60):
        bound, fresh = calibrated(rng, 28, 0.1), simulated(rng)
        slack.append(uppers(bound, fresh)[fresh.epochs // 2 - 1] - fresh.accuracy)
        trivial.append(100 - fresh.accuracy)
    assert np.mean(slack) < np.mean(trivial) / 2


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 150), st.booleans()), min_size=3, max_size=30),
    st.sampled_from([0.1, 0.2, 0.5, 0.8]),
    st.integers(0, 2**32),
)
def test_all_calibrating_curves_but_a_share_of_alpha_stay_under_the_bound(shapes, alpha, seed):
    """Counts the curves that exceed the bound, erratic and rising ones of any length."""
    rng, trials, calibration = np.random.default_rng(seed), [], Calibration(alpha)
    for epochs, rising in shapes:
        curve = rng.uniform(0, 100, epochs)
        curve = (np.sort(curve) if rising else curve).tolist()
        trials.append(Trial(f"t{len(trials)}", [1] * epochs, curve))
        calibration.learn(trials[-1].curve, trials[-1].accuracy)
    calibrating = [trial for i, trial in enumerate(trials, start=1) if i % 3]
    assume(len(calibrating) >= 1 / alpha - 1)
    over = 0
    for trial in calibrating:
        bounds = [*uppers(calibration.bound, trial), calibration.bound.upper(1.0, trial.accuracy)]
        over += min(bounds) < trial.accuracy - 1e-9
        assert bounds[-1] == trial.accuracy and max(bounds) <= 100
    assert over <= (len(calibrating) + 1) * alpha - 1 + 1e-9


@pytest.mark.parametrize(("alpha", "enough"), [(0.1, 13), (0.25, 4), (0.5, 3)])
def test_nothing_is_stopped_before_enough_trials_have_calibrated(alpha, enough):
    """It takes 1 / alpha - 1 trials, every third one not counted; the completed trials dominate."""
    rng, stopping = np.random.default_rng(1), SafeStopping(alpha=alpha, audit=0)
    for done in range(enough):
        assert stopping.verdict(Standing("new", 0.9, 50.0, (1.0,))) is None
        trial = simulated(rng)
        stopping.completed(f"t{done}", (0.0,), 100.0, [*trial.curve[:-1], (1.0, 100.0)])
    assert stopping.verdict(Standing("new", 0.9, 50.0, (1.0,)))


def test_losses_below_zero_have_no_certain_bound():
    """A task's loss may be negative: 0 is then not the best, and does not stop what goes below."""
    safe = SafeStopping(audit=0.0, most=0.0)
    for i in range(40):
        curve = [(e / 10, 1 + (4 + i / 100) * e / 10) for e in range(1, 11)]
        safe.completed(f"{i:02d}", (1.0,), curve[-1][1], curve)
    front = max(member.accuracy for member in safe.front.members)
    assert safe.verdict(Standing("better", 0.9, front + 1, (2.0,))) is None
    assert safe.verdict(Standing("worse", 0.9, 1.0, (2.0,))) is not None


def test_only_trials_that_could_not_have_been_stopped_calibrate():
    rng, stopping = np.random.default_rng(2), SafeStopping(audit=0.5)
    calibration = Calibration(0.1)
    for i in range(60):
        trial = simulated(rng, f"t{i}")
        if calibration.bound is None or stopping.is_audited(trial.name):
            calibration.learn(trial.curve, trial.accuracy)
        stopping.completed(trial.name, trial.costs(1), trial.accuracy, trial.curve)
        stopping.completed(f"diverged {i}", (0.0,), [None, math.nan][i % 2], trial.curve)
        assert stopping.calibrations[None].bound == calibration.bound
    assert not any("diverged" in member.trial for member in stopping.front.members)


def test_a_trial_keeps_the_bound_that_it_was_first_judged_by():
    """The comparison is a copy of the search in which no further trial calibrates."""
    rng, stopping = np.random.default_rng(3), SafeStopping(audit=0.5)
    trials = [simulated(rng, f"t{i}") for i in range(200)]
    for trial in trials[:20]:
        stopping.completed(trial.name, (9e9,), trial.accuracy, trial.curve)
    old = next(t for t in trials[20:] if not stopping.is_audited(t.name))
    assert stopping.verdict(old.standing(1)) is None
    undisturbed = pickle.loads(pickle.dumps(stopping))
    for trial in trials[20:]:
        if stopping.is_audited(trial.name):
            stopping.completed(trial.name, (9e9,), trial.accuracy, trial.curve)
    for one in (stopping, undisturbed):
        one.completed("cheap", (0.0,), 100.0, [])
    standing = old.standing(old.epochs - 1)
    new = replace(standing, trial="new")
    assert stopping.verdict(new).upper_accuracy != undisturbed.verdict(new).upper_accuracy
    assert stopping.verdict(standing) == undisturbed.verdict(standing)


# The audit and the scheduler's needs.


@settings(deadline=None)
@given(searches(), st.sampled_from([0.0, 1.0]), st.integers(0, 99))
def test_audited_trials_run_to_their_end_and_judge_a_bound_that_is_wrong(drawn, delta, seed):
    """Each audited trial is compared with its dominator at its first overruled stop."""
    trials, workers, pick = drawn
    upper = truth(trials, -2.0)
    stopping = SafeStopping(audit=0.5, delta=delta, seed=seed, upper=upper)
    first = {}

    def watch(standing, completed, stop):
        found = dominators(standing, completed, upper(standing) - delta)
        audited = stopping.is_audited(standing.trial)
        assert (stop is not None) == (bool(found) and not audited)
        if found and audited:
            first.setdefault(standing.trial, max(found.values()))

    completed, _ = search(trials, stopping, workers, pick, watch=watch)
    accuracies = {trial.name: trial.accuracy for trial in completed}
    assert stopping.judged == len(first)
    assert stopping.false_stops == sum(accuracies[name] > first[name] + delta for name in first)


def test_a_trial_that_would_have_been_stopped_and_diverges_judges_the_bound_right():
    stopping = SafeStopping(audit=1, upper=lambda standing: 0.0)
    stopping.completed("good", (1.0,), 90.0, [])
    for name, accuracy in (("same", 90.0), ("better", 90.1), ("diverged", None), ("nan", math.nan)):
        assert stopping.verdict(Standing(name, 0.5, 10.0, (1.0,))) is None
        stopping.completed(name, (2.0,), accuracy, [])
    assert (stopping.judged, stopping.false_stops) == (4, 1)


def test_the_audit_draws_its_share_by_name_and_seed():
    names = [f"f0745_{i:05}" for i in range(10_000)]
    drawn = [SafeStopping(audit=0.1, seed=seed).is_audited for seed in (0, 0, 1)]
    first, again, other = ({name for name in names if audited(name)} for audited in drawn)
    assert first == again
    deviation = math.sqrt(10_000 * 0.1 * 0.9)
    assert abs(len(first) - 1000) < 4 * deviation
    assert abs(len(first & other) - 100) < 4 * math.sqrt(10_000 * 0.01 * 0.99)
    assert not any(map(SafeStopping(audit=0).is_audited, names))
    assert all(map(SafeStopping(audit=1).is_audited, names))


def test_the_audit_measures_how_many_stops_are_wrong():
    """A stop is wrong if the trial exceeds its dominator. Tolerance: four binomial deviations."""
    rng, stops, wrong, judged, false = np.random.default_rng(5), 0, 0, 0, 0
    for seed in range(20):
        trials = [simulated(rng, f"t{i}") for i in range(80)]
        accuracies = {trial.name: trial.accuracy for trial in trials}
        stopping = SafeStopping(alpha=0.5, audit=0.2, seed=seed)
        _, stopped = search(trials, stopping, 4, rng.integers)
        stops += len(stopped)
        wrong += sum(
            accuracies[name] > stop.dominated_by.accuracy for name, stop in stopped.items()
        )
        judged += stopping.judged
        false += stopping.false_stops
    share = wrong / stops
    assert abs(false / judged - share) <= 4 * math.sqrt(share * (1 - share) / judged)


def on_the_front(completed: int) -> SafeStopping:
    """The state after trials of which none dominates another, the largest possible state."""
    rng, stopping = np.random.default_rng(4), SafeStopping()
    curves = [simulated(rng).curve for _ in range(50)]
    for i in range(completed):
        stopping.completed(f"f0745_{i:05}", (1e5 + i,), 40 + i / 200, curves[i % 50])
    assert len(stopping.front.members) == completed
    return stopping


def test_at_10_000_trials_the_state_is_below_1_kb_a_trial_and_a_verdict_takes_below_1_ms():
    def seconds(stopping):
        standing = Standing("new", 0.9, 20.0, (1e5 + 60,))
        assert stopping.verdict(standing)
        return min(timeit.repeat(lambda: stopping.verdict(standing), number=50, repeat=40)) / 50

    few, many = on_the_front(100), on_the_front(10_000)
    assert seconds(many) < 1e-3
    assert seconds(many) < 3 * seconds(few)  # log 10,000 is twice log 100
    size = len(pickle.dumps(many))
    names = [f"f0746_{i:05}" for i in range(100)]
    assert not any(many.verdict(Standing(name, 0.5, 50.0, (0.0,))) for name in names)
    assert size < len(pickle.dumps(many)) < 10_000 * 1000
    for name in names[::2]:
        assert many.verdict(Standing(name, 0.9, 20.0, (2e5,))) or many.is_audited(name)
    for name in names:
        if many.is_audited(name) or name in names[1::2]:
            many.completed(name, (2e5,), None, [])
    assert len(pickle.dumps(many)) == size


def test_a_search_restored_after_every_epoch_goes_on_as_if_undisturbed():
    def stops(restoring: bool):
        rng, stopping, found = np.random.default_rng(6), SafeStopping(audit=0.2), []
        for i in range(60):
            trial = simulated(rng, f"t{i}", epochs=20)
            for epoch in range(1, 21):
                if restoring:
                    stopping = pickle.loads(pickle.dumps(stopping))
                if stop := stopping.verdict(trial.standing(epoch)):
                    found.append(stop)
                    break
            else:
                stopping.completed(trial.name, trial.costs(1), trial.accuracy, trial.curve)
        return found, stopping.judged, stopping.front.members

    undisturbed = stops(restoring=False)
    assert undisturbed[0] and undisturbed[1]
    assert stops(restoring=True) == undisturbed


def test_a_stop_says_what_dominates_what():
    good = Completed("00012", (0.21,), 91.2)
    stop = Stop("00034", good, (0.24,), 90.8, 0.0)
    assert str(stop) == "dominated by trial 00012 (cost 0.21 <= 0.24, accuracy 91.2 >= 90.8)"
    two = replace(good, costs=(271_690.5, 3.0))
    stop = Stop("00034", two, (300_000.0, 3.0), 91.5, 0.5)
    assert str(stop) == (
        "dominated by trial 00012 (cost 271,690 <= 300,000, cost 3 <= 3, "
        "accuracy 91.2 >= 91.5 - 0.5)"
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"alpha": 0}, "alpha=0 must be a probability between 0 and 1; give 0.1"),
        ({"alpha": 1.0}, "alpha=1.0 must be a probability"),
        ({"alpha": math.nan}, "alpha=nan must be a probability"),
        ({"delta": -0.1}, "delta=-0.1 must be a finite number of percentage points; give 0"),
        ({"delta": math.inf}, "delta=inf must be a finite number"),
        ({"audit": 1.1}, "audit=1.1 must be a share of the trials; give 0 to 1"),
        ({"audit": math.nan}, "audit=nan must be a share"),
    ],
)
def test_options_out_of_range_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        SafeStopping(**values)


def test_groups_calibrate_for_themselves_alone():
    """In each group the bound is that of a calibration on its trials; groups may learn unlike."""
    stopping, alone = SafeStopping(alpha=0.1, audit=0), {}
    for i in range(60):
        name, group = f"{i:02d}", "slow" if i % 2 else "fast"
        gain = 30.0 if group == "slow" else 1.0
        curve = [(0.5, 50.0), (1.0, 50.0 + gain + i / 100)]
        stopping.group_of[name] = group
        calibration = alone.setdefault(group, Calibration(0.1))
        if calibration.bound is None:
            calibration.learn(curve, curve[-1][1])
        stopping.completed(name, (float(i),), curve[-1][1], curve)
    uppers = {}
    for group, calibration in alone.items():
        stopping.group_of[group] = group
        uppers[group] = stopping.upper_accuracy(Standing(group, 0.5, 50.0, (1.0,)))
        assert uppers[group] == calibration.bound.upper(0.5, 50.0)
    assert uppers["fast"] < 55 < 79 < uppers["slow"]
    assert stopping.upper_accuracy(Standing("of no group", 0.5, 50.0, (1.0,))) is None
