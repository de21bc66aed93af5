"""Hypervolume: the area of the cost-accuracy plane that the trials dominate.

The axes are log10 cost and error, scaled by bounds that are fixed for a study, so its hypervolumes
are comparable. The cheapest and most accurate corner of the bounds is (0, 0), the opposite corner
(1, 1), and the reference point (1.1, 1.1). Area beyond the cheap and accurate bounds counts too.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, log10

import moocore
import numpy as np
from numpy.typing import NDArray

from growsearch.trial.errors import InputError

SHARES = (0.9, 0.95, 0.99)
"""Shares of the whole front's hypervolume: what was paid to reach them is compared."""
REFERENCE = 1.1
"""Scaled cost and scaled error of the reference point."""

Outcome = tuple[float, float]
"""A trial's cost, above 0, and its accuracy in percent."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The ranges that scale a study's hypervolumes: costs in any unit, accuracies in percent.

    Raises InputError unless 0 < lowest_cost < highest_cost, lowest_accuracy < highest_accuracy, and
    all four are finite.
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
                f"costs from {self.lowest_cost:g} to {self.highest_cost:g} and accuracies from "
                f"{self.lowest_accuracy:g} to {self.highest_accuracy:g} are no ranges; give finite "
                "bounds, each lowest below its highest, and costs above 0"
            )

    @classmethod
    def around(cls, outcomes: Iterable[Outcome]) -> "Bounds":
        """The ranges of the outcomes. Raises InputError if they have no extent."""
        costs, accuracies = zip(*outcomes, strict=True)
        return cls(
            lowest_cost=min(costs), highest_cost=max(costs),
            lowest_accuracy=min(accuracies), highest_accuracy=max(accuracies),
        )  # fmt: skip

    def scaled(self, outcome: Outcome) -> Outcome:
        """Scaled cost and scaled error, both to be minimised; within the bounds, from 0 to 1."""
        cost, accuracy = outcome
        points = self.highest_accuracy - self.lowest_accuracy
        return (
            log10(cost / self.lowest_cost) / log10(self.highest_cost / self.lowest_cost),
            (self.highest_accuracy - accuracy) / points,
        )


def hypervolume(outcomes: Iterable[Outcome] | NDArray[np.float64], bounds: Bounds) -> float:
    """The area that the outcomes dominate together; 0 if there is no outcome.

    They may be an array of costs and accuracies, shape [outcomes, 2].
    """
    return float(moocore.hypervolume(_scaled(outcomes, bounds), ref=[REFERENCE, REFERENCE]))


def hypervolume_gains(
    outcomes: Sequence[Outcome], others: Iterable[Outcome], bounds: Bounds
) -> NDArray[np.float64]:
    """The hypervolume that each outcome alone would add to the others', shape [len(outcomes)]."""
    cost, error = _scaled(outcomes, bounds).T
    return scaled_gains(cost, error, _scaled(others, bounds))


def scaled_gains(
    cost: NDArray[np.float64], error: NDArray[np.float64], others: NDArray[np.float64]
) -> NDArray[np.float64]:
    """As hypervolume_gains, of scaled costs and errors, each of shape [n]; others: [others, 2]."""
    cost, error = np.minimum(cost, REFERENCE), np.minimum(error, REFERENCE)
    rest = np.minimum(others, REFERENCE)
    rest = rest[rest[:, 0].argsort()]
    # The others leave undominated the area below a falling staircase, steps[i] high from
    # corners[i] to corners[i + 1].
    leftmost = np.concatenate([cost, rest[:, 0], [REFERENCE]]).min()
    corners = np.concatenate([[leftmost], rest[:, 0], [REFERENCE]])
    steps = np.minimum.accumulate(np.concatenate([[REFERENCE], rest[:, 1]]))
    area = np.concatenate([[0], np.cumsum(np.diff(corners) * steps)])
    end = np.maximum(corners[np.searchsorted(-steps, -error)], cost)
    below = np.interp(end, corners, area) - np.interp(cost, corners, area)
    return np.maximum(below - error * (end - cost), 0)


def _scaled(
    outcomes: Iterable[Outcome] | NDArray[np.float64], bounds: Bounds
) -> NDArray[np.float64]:
    """As Bounds.scaled, of all outcomes at once; shape [outcomes, 2]."""
    if not isinstance(outcomes, np.ndarray):
        outcomes = np.array([*outcomes], dtype=float)
    cost, accuracy = outcomes.reshape(-1, 2).T
    decades = log10(bounds.highest_cost / bounds.lowest_cost)
    points = bounds.highest_accuracy - bounds.lowest_accuracy
    scaled = np.log10(cost / bounds.lowest_cost) / decades
    return np.column_stack([scaled, (bounds.highest_accuracy - accuracy) / points])


class HypervolumeHistory:
    """The hypervolume after each completed trial, updated by the area that the trial adds."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.values: list[float] = []
        # Cheapest first; the two sentinels at the ends dominate no area.
        self._front: list[Outcome] = [(-inf, REFERENCE), (REFERENCE, -inf)]

    def add(self, cost: float, accuracy: float) -> float:
        """Add a completed trial, its accuracy in percent; returns the new hypervolume."""
        before = self.values[-1] if self.values else 0.0
        self.values.append(before + self._insert(self.bounds.scaled((cost, accuracy))))
        return self.values[-1]

    def _insert(self, point: Outcome) -> float:
        """Insert the point, drop the points that it dominates, and return the area that it adds."""
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
