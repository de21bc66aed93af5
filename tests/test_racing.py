import math
import pickle
import random

import moocore
import pytest
from conftest import farthest_first
from hypothesis import given, settings
from hypothesis import strategies as st

from growsearch.stopping.hypervolume import Bounds
from growsearch.stopping.racing import FEW, Racing, next_to_resume
from growsearch.trial.errors import InputError


def dominates(a, b):
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def peeled(points):
    """The layer of each point, found by removing the non-dominated points again and again."""
    ranks, rest = {}, set(points)
    while rest:
        front = {p for p in rest if not any(dominates(q, p) for q in rest)}
        ranks |= dict.fromkeys(front, len({*ranks.values()}))
        rest -= front
    return [ranks[point] for point in points]


def judged_at_a_rung(points, eta=3.0):
    """The verdicts on points (costs, then error) that pass the first rung in this order."""
    racing = Racing(eta)
    return [
        racing.judge(f"t{i}", 5, 1.0, costs, 100 - error)
        for i, (*costs, error) in enumerate(points)
    ]


def cloud(n, seed=0):
    rng = random.Random(seed)
    return [(10 ** rng.uniform(4, 6), rng.uniform(1, 90)) for _ in range(n)]


def trade_off(n, noise, seed=0):
    """Error falls as cost rises; without noise no point dominates another."""
    rng = random.Random(seed)
    decades = [rng.uniform(0, 2) for _ in range(n)]
    return [(10 ** (4 + d), 50 - 20 * d + noise * rng.gauss(0, 1)) for d in decades]


def test_ranks_are_not_the_sort_order():
    """Syne Tune's MOASHA used the sort order as the rank."""
    points = [(2, 2), (3, 3), (4, 4), (1, 1)]
    assert [judged_at_a_rung([*points, p])[-1].layer for p in points] == [1, 2, 3, 0]


@settings(max_examples=50)
@given(st.integers(2, 3).flatmap(lambda d: st.lists(st.tuples(*[st.integers(1, 6)] * d))))
def test_layers_are_those_of_non_dominated_sorting(points):
    """A point is compared with all earlier points but at most the latest tenth."""
    for i, verdict in enumerate(judged_at_a_rung(points)):
        before = verdict.trials - 1
        assert 10 * before <= 10 * i <= 11 * before
        assert verdict.layer == peeled([*points[:before], points[i]])[-1]


def test_layers_are_seldom_made():
    """Layers are made for each of the first ten trials, then 56 times, at steps of a tenth."""
    assert len({verdict.trials for verdict in judged_at_a_rung(cloud(2000))}) < 70


def goes_on(before, point, eta):
    """The reference: whether the point is in the first 1/eta, ordered by layer, then distance.

    A point that dominates a member that goes on goes on in its place.
    """
    layer = peeled([*before, point])[-1]
    ranks = peeled(before)
    places = int((len(before) + 1) / eta) - sum(rank < layer for rank in ranks)
    if layer == 0:
        places = max(places, FEW)
    members = [p for p, rank in zip(before, ranks, strict=True) if rank == layer]
    if len(members) < places or places < 1:
        return places >= 1
    decades = math.log10(max(c for c, _ in members) / min(c for c, _ in members)) or 1
    points = max(e for _, e in members) - min(e for _, e in members) or 1

    def ordered(trials):
        def apart(i, j):
            (c, e), (d, f) = trials[i], trials[j]
            return abs(math.log10(c / d)) / decades + abs(e - f) / points

        first = min(range(len(trials)), key=lambda i: trials[i][1])
        return [trials[i] for i in farthest_first(len(trials), first, apart)][:places]

    if any(dominates(point, other) for other in ordered(members)):
        return True
    others = [other for other in members if not dominates(point, other)]
    # An equal point that came before has precedence.
    return ordered([*others, point]).count(point) > others.count(point)


@pytest.mark.parametrize("eta", [1.5, 3])
@pytest.mark.parametrize(
    "points", [cloud(60), trade_off(60, noise=2), trade_off(60, 0), trade_off(30, 0) * 2]
)
def test_a_trial_pauses_exactly_if_it_is_not_among_the_first(points, eta):
    verdicts = judged_at_a_rung(points, eta)
    expected = [
        not goes_on(points[: verdict.trials - 1], point, eta)
        for point, verdict in zip(points, verdicts, strict=True)
    ]
    assert [verdict.pause for verdict in verdicts] == expected
    assert 0 < sum(expected) < 60


def test_none_that_is_not_dominated_pauses_where_few_are():
    """The test has 6,000 arrivals: 100 rungs with 60 random trials each."""
    verdicts = [v for seed in range(100) for v in judged_at_a_rung(cloud(60, seed))]
    paused = [verdict.pause for verdict in verdicts if verdict.layer == 0]
    assert len(paused) > 400
    assert not any(paused)


@pytest.mark.parametrize("eta", [1.5, 3, 6])
@pytest.mark.parametrize("points", [cloud(2000), trade_off(2000, noise=1), trade_off(2000, 0)])
def test_one_in_eta_goes_on(points, eta):
    """Trials come in random order; in one case none dominates another."""
    verdicts = judged_at_a_rung(points, eta)
    assert sum(not v.pause for v in verdicts) / 2000 == pytest.approx(1 / eta, abs=0.03)


def test_a_rung_is_passed_at_its_cost_and_judged_once():
    racing = Racing(3)

    def rungs(trial_id, parameters):
        verdicts = (
            (t, racing.judge(trial_id, t, parameters * t, [parameters], 50))
            # Epochs are reported twice, as after a restart.
            for t in (*range(1, 31), *range(25, 51))
        )
        return [(t, v.rung, v.trials) for t, v in verdicts if v]

    # The first rung is 5 epochs of 100 parameters, a cost of 500; the next are 1500 and 4500.
    assert rungs("first", 100) == [(5, 0, 1), (15, 1, 1), (45, 2, 1)]
    assert rungs("half", 50) == [(10, 0, 2), (30, 1, 2)]
    # It is not judged before epoch 5, nor at the lower rungs that it passed at once.
    assert rungs("large", 1000) == [(5, 2, 2), (14, 3, 1), (41, 4, 1)]
    assert rungs("next", 100) == [(5, 0, 3), (15, 1, 3), (45, 2, 3)]


@pytest.mark.parametrize("eta", [1.1, 3, 10])
@pytest.mark.parametrize("unit", [1e-6, 0.7, 1])
def test_who_has_spent_exactly_a_rungs_cost_has_passed_it(eta, unit):
    racing = Racing(eta)
    spent = [7 * eta**k * unit for k in range(12)]
    assert [racing.judge("t", 5, s, [1], 50).rung for s in spent] == [*range(12)]


def reports(trials=300, seed=0):
    """Arguments of `judge`: trials take turns; few sizes and accuracies make ties common."""
    rng = random.Random(seed)
    sizes = [1000, *(2 ** rng.randint(0, 5) * 1000 for _ in range(trials - 1))]
    for epoch in range(1, 40):
        for i, size in enumerate(sizes):
            accuracy = rng.randint(10, 40) + 10 * math.log10(size * epoch)
            yield f"t{i}", epoch, size * epoch, [size * rng.choice([1, 1.5])], accuracy


@pytest.mark.parametrize("unit", [1e-9, 0.7, 1e6])
def test_the_unit_of_cost_changes_no_verdict(unit):
    racing, other = Racing(2), Racing(2)
    verdicts = [racing.judge(*call) for call in reports()]
    assert {v.rung for v in verdicts if v} == {*range(8)}
    assert verdicts == [
        other.judge(trial_id, epoch, spent * unit, [cost * unit for cost in costs], accuracy)
        for trial_id, epoch, spent, costs, accuracy in reports()
    ]


@pytest.mark.parametrize("unit", [1e-9, 0.7, 1e6])
def test_the_unit_of_cost_changes_no_verdict_on_trials_as_far_apart(unit):
    points = [(10 ** (4 + k / 100), 90 - 0.3 * k) for k in range(200)]
    random.Random(0).shuffle(points)
    scaled = [(cost * unit, error) for cost, error in points]
    assert judged_at_a_rung(scaled, 4) == judged_at_a_rung(points, 4)


def test_it_goes_on_after_pickling_where_it_was_and_is_small():
    racing, calls = Racing(1.2), [*reports()]
    verdicts = [racing.judge(*call) for call in calls[:6000]]
    state = pickle.dumps(racing)
    assert len(state) < 1000 * 300
    rest = [racing.judge(*call) for call in calls[6000:]]
    copy = pickle.loads(state)
    assert rest == [copy.judge(*call) for call in calls[6000:]]
    again = Racing(1.2)
    assert [again.judge(*call) for call in calls] == verdicts + rest


@pytest.mark.parametrize("eta", [1, 0.5, -3, float("nan"), float("inf")])
def test_an_eta_that_would_pause_none_or_all_is_refused(eta):
    with pytest.raises(InputError, match=f"eta={eta} must be a finite number above 1, .*; try 3"):
        Racing(eta)


BOUNDS = Bounds(lowest_cost=1e4, highest_cost=1e6, lowest_accuracy=10, highest_accuracy=100)


def test_the_paused_go_on_in_the_order_of_what_they_may_add():
    rng = random.Random(0)
    paused = {f"t{i}": (10 ** rng.uniform(4, 6), rng.uniform(10, 100)) for i in range(200)}
    completed = [(10 ** (4 + u), 30 + 25 * u) for u in (0.5, 1, 1.8)]

    def volume(trials):
        scaled = [[math.log10(c / 1e4) / 2, (100 - a) / 90] for c, a in trials]
        return moocore.hypervolume(scaled, ref=[1.1, 1.1])

    def gain(name):
        return volume([*completed, paused[name]]) - volume(completed)

    while paused and max(map(gain, paused)) > 1e-9:
        name = next_to_resume(paused, completed, BOUNDS)
        assert name == max(paused, key=gain)
        completed.append(paused.pop(name))
    assert 100 < len(paused) < 200


def test_of_equals_the_first_by_name_goes_on():
    paused = {"b": (2e5, 80), "a": (2e5, 80), "c": (2e5, 70)}
    assert next_to_resume(paused, [], BOUNDS) == "a"
    assert next_to_resume(paused, [(1e5, 90)], BOUNDS) == "a"
    assert next_to_resume({}, [(1e5, 90)], BOUNDS) is None
