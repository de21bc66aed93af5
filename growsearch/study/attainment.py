"""Which cost and metric the fronts of a share of the seeds attain."""

from collections.abc import Sequence

import moocore
import numpy as np

SHARES = (25, 50, 75)
"""Percent of the seeds."""


def attainment(
    costs: Sequence[float], values: Sequence[float], seeds: Sequence[object], minimized: bool
) -> dict[int, list[tuple[float, float]]]:
    """For each of SHARES, the corners of the surface that this share of the seeds attains.

    A seed attains a point if one of its trials costs no more and is no worse. Corners are (cost,
    value), cheapest first (Grunert da Fonseca, Fonseca and Hall 2001). Needs two seeds or more:
    for fewer all lists are empty.
    """
    numbers = {seed: n for n, seed in enumerate(dict.fromkeys(seeds), 1)}
    if len(numbers) < 2:
        return {share: [] for share in SHARES}
    sets = np.array([numbers[seed] for seed in seeds])
    sign = 1 if minimized else -1
    points = np.column_stack([np.asarray(costs, float), sign * np.asarray(values, float)])
    order = np.argsort(sets, kind="stable")  # moocore wants each set's points together
    found = moocore.eaf(points[order], sets[order], percentiles=SHARES)
    return {
        share: sorted((float(x), sign * float(y)) for x, y, s in found if round(s) == share)
        for share in SHARES
    }
