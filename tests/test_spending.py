import random

import pytest

from growsearch.stopping.hypervolume import REFERENCE, Bounds
from growsearch.study.spending import bounds_of, spending


def area(outcomes, bounds: Bounds, cells: int = 400) -> float:
    """The dominated area, by counting cells of a grid of scaled cost and error."""
    points = [bounds.scaled(outcome) for outcome in outcomes]
    step = REFERENCE / cells
    centres = [(i + 0.5) * step for i in range(cells)]
    inside = sum(any(x <= a and y <= b for x, y in points) for a in centres for b in centres)
    return inside * step**2


def test_after_each_trial_stands_what_was_spent_and_the_area_that_is_dominated():
    draw = random.Random(0)
    outcomes = [(draw.uniform(1, 100), draw.uniform(50, 90)) for _ in range(6)]
    bounds = bounds_of(outcomes)
    with_gaps = [outcomes[0], None, *outcomes[1:]]
    curve = spending(with_gaps, [2.0, 5.0, 1.0, 1.0, 3.0, 1.0, 4.0], bounds)
    assert curve.spent == [2, 7, 8, 9, 12, 13, 17]
    assert curve.hypervolume[1] == curve.hypervolume[0]
    for n, found in enumerate(curve.hypervolume, 1):
        known = [outcome for outcome in with_gaps[:n] if outcome]
        assert found == pytest.approx(area(known, bounds), abs=0.01)


def test_a_trial_that_did_not_complete_first_leaves_no_hypervolume():
    bounds = Bounds(lowest_cost=1, highest_cost=2, lowest_accuracy=0, highest_accuracy=1)
    assert spending([None], [3.0], bounds).hypervolume == [0.0]


@pytest.mark.parametrize(
    "outcomes", [[], [(1.0, 2.0)], [(1.0, 2.0), (1.0, 3.0)], [(0.0, 1), (2, 3)]]
)
def test_outcomes_without_extent_have_no_bounds(outcomes):
    assert bounds_of(outcomes) is None
