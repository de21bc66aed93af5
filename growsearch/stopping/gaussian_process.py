"""A Gaussian process over a fixed set of points, of which more and more have a value."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

Array = NDArray[np.float64]
Indices = list[int] | NDArray[np.int64] | slice
ALL = slice(None)

SCALES = (0.5, 1.0, 2.0, 4.0)
NOISES = (1e-3, 1e-2, 1e-1)
LINEAR = (0.1, 1.0)
MOST_KNOWN = 2000
"""Number of values that are learned from; later ones change nothing."""
MOST_COMPARED = 500
"""Number of known values that choose among SHAPES, and of points that give the unit of distance."""


@dataclass(frozen=True)
class Shape:
    """What is chosen by the likelihood; the mean and the variance of values follow from it."""

    scale: float = 2.0
    """The length scale, in units of the median distance of two points."""
    noise: float = 1e-2
    """The variance of the noise, as a share of the kernel's."""
    linear: float = 1.0
    """The weight of the linear kernel beside the other."""


SHAPES = tuple(Shape(*values) for values in product(SCALES, NOISES, LINEAR))


class GaussianProcess:
    """Predicts the values of all `points`, shape [n, features], from those that are known.

    A point may have `others` values besides, which are known before its value is: `predict_given`
    learns from them.

    The kernel is Matern's with smoothness 5/2 plus a linear one (Rasmussen and Williams 2006,
    sections 4.2 and 2.1). The mean of the values and the kernel's variance are those of the highest
    likelihood. The other numbers are chosen among SHAPES, anew whenever the known values have
    become half as many again. Adding a value takes O(n m) steps for m known ones, and memory does.
    """

    def __init__(self, points: Array, others: int = 0) -> None:
        self.points = points - points.mean(axis=0)
        self._squared = (self.points**2).sum(axis=1)
        some = np.arange(0, len(points), -(-len(points) // MOST_COMPARED))
        self._typical, self._mean_square = 1.0, max(float(self._squared.mean()), 1e-12)
        distances, _ = self._between(some, some)
        apart = distances[distances > 1e-9]
        self._typical = float(np.median(apart)) if len(apart) else 1.0
        self.known: list[int] = []
        self.values = np.empty((0, 1 + others))
        """Each known point's value, and its others."""
        self._choose_at = 6
        self._set(Shape())

    def add(self, point: int, value: float, others: Sequence[float] = ()) -> None:
        """Takes note of the value of a point, by its index, and of its others."""
        if len(self.known) == MOST_KNOWN:
            return
        self.known.append(point)
        self.values = np.vstack([self.values, [value, *others]])
        if len(self.known) >= self._choose_at:
            self._choose_at = len(self.known) * 3 // 2 + 1
            self._set(self._likeliest())
        else:
            self._extend(len(self.known) - 1)

    def predict(self, points: Indices = ALL) -> tuple[Array, Array]:
        """The mean and the standard deviation of these points' values, without noise."""
        mean, left = self._residuals(0)
        variance = max(float(left @ left) / len(left), 1e-18)
        spread = np.maximum(self._prior[points] - self._explained[points], 1e-9)
        return mean + left @ self._rows[: len(left), points], np.sqrt(variance * spread)

    def predict_given(self, points: Indices, other: int, found: Array) -> tuple[Array, Array]:
        """As `predict`, of `points` whose value number `other` of the others is `found`.

        All values have one kernel up to a factor, and the same correlation everywhere: intrinsic
        coregionalization (Goovaerts 1997; Bonilla et al. 2008). What is left of the value is then
        a line in what is left of the other one. The variance around it is that of a regression
        line, so that a chance agreement of few points counts for little.
        """
        mean, deviation = self.predict(points)
        (_, left), (other_mean, other_left) = self._residuals(0), self._residuals(1 + other)
        both, own = float(left @ other_left), float(left @ left)
        others = float(other_left @ other_left)
        if min(own, others) <= 0 or len(left) < 3:
            return mean, deviation
        surprise = found - other_mean - other_left @ self._rows[: len(left), points]
        left_over = max(1 - both**2 / (own * others), 0.0) * (len(left) - 1) / (len(left) - 2)
        return mean + both / others * surprise, deviation * np.sqrt(min(left_over, 1.0))

    def _residuals(self, column: int) -> tuple[float, Array]:
        """The mean of a column of `values`, and what is left of each, made independent."""
        count = len(self.known)
        ones, values = self._ones[:count], self._solved[:count, column]
        mean = float(ones @ values / (ones @ ones))
        return mean, values - mean * ones

    def _set(self, shape: Shape) -> None:
        """Takes that shape, and all known values anew; there is room for as many again."""
        self.shape, known, count = shape, self.known, len(self.known)
        room = min(max(2 * count, 8), MOST_KNOWN)
        self._rows = np.zeros((room, len(self.points)))
        """The inverse of the Cholesky factor times the kernel between known and all points."""
        self._ones, self._solved = np.zeros(room), np.zeros((room, self.values.shape[1]))
        self._prior = 1 + shape.linear * self._squared / self._mean_square
        self._explained = np.zeros(len(self.points))
        if known:
            lower = _factor(shape, self._between(known, known))
            kernel = _kernel(shape, self._between(known))
            right = np.column_stack([kernel, np.ones(count), self.values])
            solved = solve_triangular(lower, right, lower=True)
            points = len(self.points)
            self._rows[:count], self._ones[:count] = solved[:, :points], solved[:, points]
            self._solved[:count] = solved[:, points + 1 :]
            self._explained = (self._rows[:count] ** 2).sum(axis=0)

    def _extend(self, index: int) -> None:
        point = self.known[index]
        row = self._rows[:index, point]
        pivot = np.sqrt(max(self._prior[point] + self.shape.noise - row @ row, 1e-10))
        kernel = _kernel(self.shape, self._between([point]))[0]
        self._rows[index] = (kernel - row @ self._rows[:index]) / pivot
        self._ones[index] = (1 - row @ self._ones[:index]) / pivot
        self._solved[index] = (self.values[index] - row @ self._solved[:index]) / pivot
        self._explained += self._rows[index] ** 2

    def _between(self, left: Indices, right: Indices = ALL) -> tuple[Array, Array]:
        """Distances, in units of the median one, and the linear kernel."""
        products = self.points[left] @ self.points[right].T
        square = self._squared[left, None] + self._squared[right] - 2 * products
        return np.sqrt(np.maximum(square, 0)) / self._typical, products / self._mean_square

    def _likeliest(self) -> Shape:
        """The shape of the highest likelihood, with the best mean and variance for it."""
        step = -(-len(self.known) // MOST_COMPARED)
        known, values = self.known[::step], self.values[::step, 0]
        between = self._between(known, known)
        return max(SHAPES, key=lambda shape: _likelihood(shape, between, values))


def _kernel(shape: Shape, between: tuple[Array, Array]) -> Array:
    distance, linear = between
    far = np.sqrt(5) * distance / shape.scale
    return (1 + far + far**2 / 3) * np.exp(-far) + shape.linear * linear


def _factor(shape: Shape, between: tuple[Array, Array]) -> Array:
    kernel = _kernel(shape, between)
    lower = np.linalg.cholesky(kernel + shape.noise * np.eye(len(kernel)))
    return np.asarray(lower, dtype=np.float64)


def _likelihood(shape: Shape, between: tuple[Array, Array], values: Array) -> float:
    """The logarithm, up to a constant."""
    count = len(values)
    try:
        lower = _factor(shape, between)
    except np.linalg.LinAlgError:
        return -np.inf
    right = np.column_stack([np.ones(count), values])
    ones, solved = solve_triangular(lower, right, lower=True).T
    left = solved - (ones @ solved) / (ones @ ones) * ones
    return -count / 2 * np.log(left @ left / count) - np.log(lower.diagonal()).sum()
