import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from growsearch.stopping.hypervolume import (
    Bounds,
    HypervolumeHistory,
    hypervolume,
    hypervolume_gains,
)
from growsearch.trial.errors import InputError

BOUNDS = Bounds(lowest_cost=1e3, highest_cost=1e13, lowest_accuracy=50, highest_accuracy=100)
"""On this scale a decade of cost and five points of accuracy are 0.1 each."""


def outcome(cell):
    return 10.0 ** (3 + cell[0]), 100.0 - 5 * cell[1]


def cells_dominated(cells):
    """Counts dominated cells of side 0.1: eleven a side from the bounds to the reference point."""
    grid = [(i, j) for i in range(-2, 11) for j in range(-2, 11)]
    return sum(any(c <= i and e <= j for c, e in cells) for i, j in grid)


corners = st.lists(st.tuples(st.integers(-2, 12), st.integers(-2, 12)), max_size=10)


@given(corners)
def test_it_is_the_area_dominated_up_to_the_reference_point(cells):
    outcomes = [outcome(cell) for cell in cells]
    assert 100 * hypervolume(outcomes, BOUNDS) == pytest.approx(cells_dominated(cells))


@given(corners)
def test_its_history_is_the_area_after_each_trial(cells):
    history = HypervolumeHistory(BOUNDS)
    values = [history.add(*outcome(cell)) for cell in cells]
    assert history.values == values
    expected = [cells_dominated(cells[:n]) / 100 for n in range(1, len(cells) + 1)]
    assert values == pytest.approx(expected)


@given(corners, corners)
def test_a_gain_is_the_difference_that_one_trial_makes(cells, others):
    gains = hypervolume_gains([*map(outcome, cells)], [*map(outcome, others)], BOUNDS)
    expected = [
        (cells_dominated([*others, cell]) - cells_dominated(others)) / 100 for cell in cells
    ]
    assert gains.tolist() == pytest.approx(expected)


def test_all_three_agree_with_moocore_on_a_thousand_trials():
    rng = np.random.default_rng(0)
    costs, accuracies = 10 ** rng.uniform(2.5, 14, 1000), rng.uniform(40, 101, 1000)
    scaled = np.column_stack([(np.log10(costs) - 3) / 10, (100 - accuracies) / 50])

    def volume(n, *more):
        return moocore.hypervolume(scaled[[*range(n), *more]], ref=[1.1, 1.1])

    outcomes = [*zip(costs.tolist(), accuracies.tolist(), strict=True)]
    history = HypervolumeHistory(BOUNDS)
    for cost, accuracy in outcomes:
        history.add(cost, accuracy)
    assert history.values == pytest.approx([volume(n) for n in range(1, 1001)])
    assert hypervolume(outcomes, BOUNDS) == pytest.approx(volume(1000))
    gains = hypervolume_gains(outcomes[100:], outcomes[:100], BOUNDS)
    expected = [volume(100, i) - volume(100) for i in range(100, 1000)]
    assert gains.tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "change", [{"lowest_cost": 0}, {"highest_cost": 1e3}, {"lowest_accuracy": float("nan")}]
)
def test_bounds_with_nothing_between_are_refused(change):
    with pytest.raises(InputError, match="give finite bounds, each lowest below its highest"):
        Bounds(**{**vars(BOUNDS), **change})
