"""Hypervolume: how much of the plane of cost and accuracy the trials dominate.

It is taken of log10 cost and of error, both on bounds that are fixed for a study, so that its
values can be compared: the bounds' cheapest and most accurate corner is (0, 0), the opposite one
(1, 1), the reference point (1.1, 1.1). What is better than the bounds counts in full.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, log10

import moocore
import numpy as np
from numpy.typing import NDArray

from growsearch.trial.errors import InputError

REFERENCE = 1.1
"""Of both objectives, on the bounds' scale."""

Outcome = tuple[float, float]
"""Of a trial: its cost, above 0, and its accuracy in percent."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The scale of a study's hypervolumes: costs in any unit, accuracies in percent.

    Raises InputError where nothing lies between them.
    """

    lowest_cost: float
    highest_cost: float
    lowest_accuracy: float
    highest_accuracy: float

    def __post_init__(self) -> None:
        costs = 0 < self.lowest_cost < self.highest_cost < inf
        accuracies = -inf < self.lowest_accuracy < self.highest_accuracy < inf
        if not (costs and accuracies):
            raise InputError(
                f"nothing lies between costs {self.lowest_cost:g} and {self.highest_cost:g} and "
                f"accuracies {self.lowest_accuracy:g} and {self.highest_accuracy:g}; give finite "
                "bounds, the lower first, of costs above 0"
            )

    def scaled(self, outcome: Outcome) -> Outcome:
        """Both as they are minimised: cost and error, from 0 to 1 within the bounds."""
        cost, accuracy = outcome
        points = self.highest_accuracy - self.lowest_accuracy
        return (
            log10(cost / self.lowest_cost) / log10(self.highest_cost / self.lowest_cost),
            (self.highest_accuracy - accuracy) / points,
        )


def hypervolume(outcomes: Iterable[Outcome], bounds: Bounds) -> float:
    """What the outcomes dominate together; 0 of none."""
    return float(moocore.hypervolume(_scaled(outcomes, bounds), ref=[REFERENCE, REFERENCE]))


def hypervolume_gains(
    outcomes: Sequence[Outcome], others: Iterable[Outcome], bounds: Bounds
) -> NDArray[np.float64]:
    """How much hypervolume each outcome alone would add to that of the others."""
    cost, error = np.minimum(_scaled(outcomes, bounds), REFERENCE).T
    rest = np.minimum(_scaled(others, bounds), REFERENCE)
    rest = rest[rest[:, 0].argsort()]
    # what is not dominated lies below a falling staircase: steps[i] high from corners[i] on
    leftmost = np.concatenate([cost, rest[:, 0], [REFERENCE]]).min()
    corners = np.concatenate([[leftmost], rest[:, 0], [REFERENCE]])
    steps = np.minimum.accumulate(np.concatenate([[REFERENCE], rest[:, 1]]))
    area = np.concatenate([[0], np.cumsum(np.diff(corners) * steps)])
    end = np.maximum(corners[np.searchsorted(-steps, -error)], cost)
    below = np.interp(end, corners, area) - np.interp(cost, corners, area)
    return np.maximum(below - error * (end - cost), 0)


def _scaled(outcomes: Iterable[Outcome], bounds: Bounds) -> NDArray[np.float64]:
    return np.array([bounds.scaled(outcome) for outcome in outcomes]).reshape(-1, 2)


class HypervolumeHistory:
    """The hypervolume after each completed trial, without computing it anew."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.values: list[float] = []
        # cheapest first, between two that dominate nothing that counts
        self._front: list[Outcome] = [(-inf, REFERENCE), (REFERENCE, -inf)]

    def add(self, cost: float, accuracy: float) -> float:
        """The hypervolume with one trial more."""
        before = self.values[-1] if self.values else 0.0
        self.values.append(before + self._insert(self.bounds.scaled((cost, accuracy))))
        return self.values[-1]

    def _insert(self, point: Outcome) -> float:
        """What the point adds; it takes the place of those that it dominates."""
        cost, error = point
        start = bisect_right(self._front, (cost, inf))
        step = self._front[start - 1][1]
        if step <= error:
            return 0.0
        end = bisect_right(self._front, -error, lo=start, key=lambda member: -member[1])
        gain, left = 0.0, cost
        for right, lower in self._front[start : end + 1]:
            gain += (right - left) * (step - error)
            left, step = right, lower
        self._front[start:end] = [point]
        return gain
