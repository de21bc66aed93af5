"""What a claim is about: one number for each seed, made of that seed's trials.

Rows are paired by seed: trials of one seed have the same first weights, images and batches. Where
a row is chosen by its outcome, like the best of a grid, it is chosen by the other seeds, so that
the number has no bias from the choice.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

import numpy as np


class Values(Protocol):
    """The outcomes of a group's trials: see outcomes.Outcomes."""

    @property
    def rows(self) -> tuple[str, ...]: ...
    def value(self, row: str, seed: int, quantity: str) -> float: ...
    def mean(self, row: str, quantity: str, without: int) -> float: ...


class Statistic(Protocol):
    """A number for each seed; NaN if it cannot be known."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The rows that it is made of; "grid *" stands for all that begin so."""

    def of(self, values: Values, seed: int) -> float: ...


def matching(pattern: str, rows: Iterable[str]) -> list[str]:
    return [row for row in rows if fnmatchcase(row, pattern)]


def _known_means(
    values: Values, rows: Iterable[str], quantity: str, without: int
) -> dict[str, float]:
    """By row, the mean over all seeds but one, where it is known."""
    means = {row: values.mean(row, quantity, without) for row in rows}
    return {row: mean for row, mean in means.items() if not math.isnan(mean)}


@dataclass(frozen=True)
class _OfTwo:
    """`quantity` of row `one` and of row `other`."""

    quantity: str
    one: str
    other: str

    @property
    def needs(self) -> tuple[str, ...]:
        return self.one, self.other

    def pair(self, values: Values, seed: int) -> tuple[float, float]:
        one, other = (values.value(row, seed, self.quantity) for row in self.needs)
        return one, other


@dataclass(frozen=True)
class _OfRow:
    """`quantity` of a row."""

    quantity: str
    row: str

    @property
    def needs(self) -> tuple[str, ...]:
        return (self.row,)


@dataclass(frozen=True)
class Difference(_OfTwo):
    """`quantity` of row `one` minus that of row `other`."""

    def of(self, values: Values, seed: int) -> float:
        one, other = self.pair(values, seed)
        return one - other


@dataclass(frozen=True)
class Saving(_OfTwo):
    """The share of `quantity` that row `one` saves of that of row `other`."""

    def of(self, values: Values, seed: int) -> float:
        one, other = self.pair(values, seed)
        return 1 - one / other


@dataclass(frozen=True)
class Minus(_OfRow):
    """Minus the `quantity` of a row, for claims that it is negative."""

    def of(self, values: Values, seed: int) -> float:
        return -values.value(self.row, seed, self.quantity)


@dataclass(frozen=True)
class Apart(_OfRow):
    """Minus how far `quantity` of a row is from its mean over the other seeds: near 0 is stable."""

    def of(self, values: Values, seed: int) -> float:
        own = values.value(self.row, seed, self.quantity)
        return -abs(own - values.mean(self.row, self.quantity, seed))


@dataclass(frozen=True)
class Correlation:
    """Pearson's correlation of `quantity` with `x` over the rows; NaN if either is constant."""

    quantity: str
    x: str
    rows: str

    @property
    def needs(self) -> tuple[str, ...]:
        return (self.rows,)

    def of(self, values: Values, seed: int) -> float:
        rows = matching(self.rows, values.rows)
        xs, ys = (
            np.array([values.value(row, seed, name) for row in rows])
            for name in (self.x, self.quantity)
        )
        if len(rows) < 2 or np.ptp(xs) == 0 or np.ptp(ys) == 0 or np.isnan([xs, ys]).any():
            return math.nan
        return float(np.corrcoef(xs, ys)[0, 1])


@dataclass(frozen=True)
class MoreCorrelated:
    """How much stronger one correlation is than another, whatever their signs are."""

    one: Correlation
    other: Correlation

    @property
    def needs(self) -> tuple[str, ...]:
        return self.one.needs + self.other.needs

    def of(self, values: Values, seed: int) -> float:
        return abs(self.one.of(values, seed)) - abs(self.other.of(values, seed))


@dataclass(frozen=True)
class OverBest:
    """`quantity` of row `one` minus that of the best of `others`, chosen by the other seeds.

    With `cost`, the best of those that cost no more than `one` does with this seed; NaN if there
    are none, so that nothing dominates it.
    """

    quantity: str
    one: str
    others: str
    cost: str | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        return self.one, self.others

    def of(self, values: Values, seed: int) -> float:
        rows = [row for row in matching(self.others, values.rows) if row != self.one]
        if self.cost is not None:
            most = values.value(self.one, seed, self.cost)
            rows = [row for row in rows if values.value(row, seed, self.cost) <= most]
        means = _known_means(values, rows, self.quantity, seed)
        if not means:
            return math.nan
        best = max(means, key=means.__getitem__)
        one, other = (values.value(row, seed, self.quantity) for row in (self.one, best))
        return one - other


@dataclass(frozen=True)
class UnderBest(OverBest):
    """The best of `others` minus row `one`: `OverBest`, the other way round."""

    def of(self, values: Values, seed: int) -> float:
        return -super().of(values, seed)


@dataclass(frozen=True)
class WorstToBest:
    """`quantity` of the worst of the rows minus that of the best, both chosen by the other seeds.

    It is at most 0 in the mean; near 0 the rows do not differ.
    """

    quantity: str
    rows: str

    @property
    def needs(self) -> tuple[str, ...]:
        return (self.rows,)

    def of(self, values: Values, seed: int) -> float:
        means = _known_means(values, matching(self.rows, values.rows), self.quantity, seed)
        if len(means) < 2:
            return math.nan
        ends = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
        worst, best = (values.value(row, seed, self.quantity) for row in ends)
        return worst - best
