"""How far one study's seeds attain more of the plane of cost and metric than another's.

Each seed of a study is one run. The empirical attainment function of a study is, at a point, the
share of its runs with a trial that costs no more and is no worse (da Fonseca, Fonseca and Hall
2001). The difference of two of them is integrated over the scaled plane up to the reference point,
so that its integral is the difference of the runs' mean hypervolumes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from growsearch.stopping.hypervolume import REFERENCE

Run = NDArray[np.float64]
"""Scaled cost and scaled error of a run's completed trials, shape [trials, 2]; less is better.

A run may have none."""


def attainment_difference(one: Sequence[Run], other: Sequence[Run]) -> tuple[float, float]:
    """The area where `one` attains more, weighted by how much more, and that of `other`.

    Exact: between the trials' costs and errors both functions are constant.
    """
    points = np.minimum(np.concatenate([*one, *other]), REFERENCE)
    costs, errors = (np.unique(np.append(points[:, axis], REFERENCE)) for axis in (0, 1))
    more = _attained(one, costs, errors) - _attained(other, costs, errors)
    weighted = more[:-1, :-1] * np.outer(np.diff(costs), np.diff(errors))
    return float(weighted.clip(min=0).sum()), abs(float(weighted.clip(max=0).sum()))


def _attained(
    runs: Sequence[Run], costs: NDArray[np.float64], errors: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The share of the runs that attain each point of the grid, shape [costs, errors]."""
    share = np.zeros((len(costs), len(errors)))
    for run in runs:
        ordered = run[run[:, 0].argsort(kind="stable")]
        least = np.append(np.inf, np.minimum.accumulate(ordered[:, 1]))
        reached = least[np.searchsorted(ordered[:, 0], costs, side="right")]
        share += (reached[:, None] <= errors) / len(runs)
    return share
