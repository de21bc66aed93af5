"""What is known of trials before any of them runs, as points that a predictor may compare."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from growsearch.searches.tree import Way
from growsearch.trial.config import TrialConfig

MOMENTS = 10
"""Number of moments of a trial at which the size of its network is a feature."""
_SHOWN = ("growth_epochs", "growth_architectures", "architecture", "policy", "epochs")
"""Options whose effect the sizes show."""
_NOISE = ("seed",)
"""Options whose values only add noise, like the seed."""


def features(
    configs: Sequence[TrialConfig], ways: Sequence[Way], sizes: Sequence[Mapping[str, int]]
) -> NDArray[np.float64]:
    """A point for each trial, shape [trials, features], each feature with a variance of about 1.

    `sizes` are the parameters of each trial's networks. Features are the logarithm of the size at
    MOMENTS of the trial's course, together as much as one option; of the first, the last and the
    mean size; of the number of epochs; and the other options in which the trials differ, but for
    the seed: numbers in logarithms if all are positive, others as one indicator for each value.
    """
    shares = (np.arange(MOMENTS) + 0.5) / MOMENTS
    courses = []
    for way, size in zip(ways, sizes, strict=True):
        course = np.log([size[a] for a in way.architectures])
        at = course[(shares * len(course)).astype(int)]
        courses.append([*at, course[0], course[-1], course.mean(), np.log(len(course))])
    table = np.array(courses)
    weights = [1 / np.sqrt(MOMENTS)] * MOMENTS + [0.5, 0.5, 1.0, 1.0]
    columns = [_scaled(column) * weight for column, weight in zip(table.T, weights, strict=True)]
    flat = [config.to_flat() for config in configs]
    for name in dict.fromkeys(key for values in flat for key in values):
        values = [one.get(name) for one in flat]
        if name in (*_SHOWN, *_NOISE) or len({str(value) for value in values}) < 2:
            continue
        columns.extend(_of_option(values))
    return np.column_stack(columns)


def _of_option(values: Sequence[object]) -> list[NDArray[np.float64]]:
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) == len(values):
        column = np.array(numbers, dtype=float)
        return [_scaled(np.log(column) if column.min() > 0 else column)]
    different = sorted({str(value) for value in values})
    indicators = [np.array([float(str(v) == one) for v in values]) for one in different]
    return [(one - one.mean()) * np.sqrt(2) for one in indicators]


def _scaled(column: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = column.std()
    return (column - column.mean()) / (spread if spread > 1e-9 else 1.0)
