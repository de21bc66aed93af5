"""A Gaussian process over a fixed set of points, of which more and more have a value."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

Array = NDArray[np.float64]

SCALES = (0.5, 1.0, 2.0, 4.0)
NOISES = (1e-3, 1e-2, 1e-1)
LINEAR = (0.1, 1.0)


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

    The kernel is Matern's with smoothness 5/2 plus a linear one (Rasmussen and Williams 2006,
    sections 4.2 and 2.1). The mean of the values and the kernel's variance are those of the highest
    likelihood. The other numbers are chosen among SHAPES, anew whenever the known values have
    become half as many again. Adding a value takes O(n m) steps for m known ones.
    """

    def __init__(self, points: Array) -> None:
        self.points = points - points.mean(axis=0)
        squared = (self.points**2).sum(axis=1)
        square = squared[:, None] + squared - 2 * self.points @ self.points.T
        self._distance = np.sqrt(np.maximum(square, 0))
        typical = np.median(self._distance[self._distance > 1e-9]) if len(points) > 1 else 1.0
        self._distance /= typical if typical > 0 else 1.0
        self._linear = self.points @ self.points.T / max(float(squared.mean()), 1e-12)
        self.known: list[int] = []
        self.values: list[float] = []
        self._choose_at = 6
        self._set(Shape())

    def add(self, point: int, value: float) -> None:
        """Takes note of the value of a point, by its index."""
        self.known.append(point)
        self.values.append(value)
        if len(self.known) >= self._choose_at:
            self._choose_at = len(self.known) * 3 // 2 + 1
            self._set(max(SHAPES, key=self._likelihood))
        else:
            self._extend(len(self.known) - 1)

    def predict(self) -> tuple[Array, Array]:
        """The mean and the standard deviation of every point's value, without noise."""
        count = len(self.known)
        rows, ones, values = self._rows[:count], self._ones[:count], self._solved[:count]
        mean = (ones @ values) / (ones @ ones)
        left = values - mean * ones
        variance = max(float(left @ left) / count, 1e-18)
        spread = np.maximum(self._kernel.diagonal() - (rows**2).sum(axis=0), 1e-9)
        return mean + left @ rows, np.sqrt(variance * spread)

    def _set(self, shape: Shape) -> None:
        self.shape, size = shape, len(self.points)
        self._kernel = self._kernel_of(shape)
        self._rows = np.zeros((size, size))
        """The inverse of the Cholesky factor times the kernel between known and all points."""
        self._ones, self._solved = np.zeros(size), np.zeros(size)
        if self.known:
            count, known = len(self.known), self.known
            lower = self._factor(self._kernel)
            right = np.column_stack([self._kernel[known], np.ones(count), self.values])
            solved = solve_triangular(lower, right, lower=True)
            self._rows[:count], self._ones[:count] = solved[:, :size], solved[:, size]
            self._solved[:count] = solved[:, size + 1]

    def _extend(self, index: int) -> None:
        point = self.known[index]
        row = self._rows[:index, point]
        pivot = np.sqrt(max(self._kernel[point, point] + self.shape.noise - row @ row, 1e-10))
        self._rows[index] = (self._kernel[point] - row @ self._rows[:index]) / pivot
        self._ones[index] = (1 - row @ self._ones[:index]) / pivot
        self._solved[index] = (self.values[index] - row @ self._solved[:index]) / pivot

    def _kernel_of(self, shape: Shape, known: Sequence[int] | None = None) -> Array:
        distance, linear = self._distance, self._linear
        if known is not None:
            distance, linear = distance[np.ix_(known, known)], linear[np.ix_(known, known)]
        far = np.sqrt(5) * distance / shape.scale
        return (1 + far + far**2 / 3) * np.exp(-far) + shape.linear * linear

    def _factor(self, kernel: Array) -> Array:
        among = kernel[np.ix_(self.known, self.known)]
        lower = np.linalg.cholesky(among + self.shape.noise * np.eye(len(self.known)))
        return np.asarray(lower, dtype=np.float64)

    def _likelihood(self, shape: Shape) -> float:
        """The logarithm, up to a constant, with the best mean and variance."""
        count = len(self.known)
        kernel = self._kernel_of(shape, self.known) + shape.noise * np.eye(count)
        try:
            lower = np.linalg.cholesky(kernel)
        except np.linalg.LinAlgError:
            return -np.inf
        right = np.column_stack([np.ones(count), self.values])
        ones, values = solve_triangular(lower, right, lower=True).T
        left = values - (ones @ values) / (ones @ ones) * ones
        return -count / 2 * np.log(left @ left / count) - np.log(lower.diagonal()).sum()
