import math
import random

import pytest

from growsearch.study.attainment import SHARES, attainment


def attained(point, corners, minimized) -> bool:
    sign = 1 if minimized else -1
    return any(x <= point[0] and sign * y <= sign * point[1] for x, y in corners)


@pytest.mark.parametrize("minimized", [True, False])
@pytest.mark.parametrize("seeds", [2, 3, 5, 8])
def test_a_point_is_attained_by_a_share_of_the_seeds_if_so_many_fronts_reach_it(seeds, minimized):
    draw = random.Random(seeds)
    trials = [(draw.randint(0, 9), draw.randint(0, 9), seed) for seed in range(seeds)
              for _ in range(4)]  # fmt: skip
    draw.shuffle(trials)
    costs, values, labels = zip(*trials, strict=True)
    surfaces = attainment(costs, values, labels, minimized)
    for share in SHARES:
        least = max(1, math.ceil(share / 100 * seeds))
        for point in [(x, y) for x in range(-1, 11) for y in range(-1, 11)]:
            fronts = [[t[:2] for t in trials if t[2] == seed] for seed in range(seeds)]
            count = sum(attained(point, front, minimized) for front in fronts)
            assert attained(point, surfaces[share], minimized) == (count >= least)


def test_one_seed_has_no_surface():
    assert attainment([1, 2], [1, 2], [7, 7], True) == {25: [], 50: [], 75: []}
    assert attainment([], [], [], True) == {25: [], 50: [], 75: []}
