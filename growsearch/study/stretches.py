"""Rows of a table in stretches, like those of a trial, and numbers of each stretch at once."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Stretches:
    """Stretches of rows, none of them empty, one after the other."""

    rows: Integers
    """The numbers of their rows."""
    of: Integers
    """The number of the stretch of each of `rows`."""
    starts: Integers
    """Where in `rows` each stretch begins."""

    @classmethod
    def between(cls, first: Integers, end: Integers) -> "Stretches":
        """The stretches from each row `first` to the one before `end`."""
        lengths = end - first
        starts = np.cumsum(lengths) - lengths
        of = np.repeat(np.arange(len(first)), lengths)
        return cls(np.arange(len(of)) - starts[of] + first[of], of, starts)

    def sum(self, values: Floats | Integers | Flags, where: Flags | None = None) -> Floats:
        """The sum of `values`, one for each of `rows`, over each stretch, `where` it is true.

        NaN counts 0.
        """
        left_out = np.isnan(values) if where is None else np.isnan(values) | ~where
        known = np.where(left_out, 0.0, values)
        return np.bincount(self.of, known, minlength=len(self.starts)).astype(np.float64)

    def most(self, values: Floats) -> Floats:
        """The largest value of each stretch; NaN if one is NaN."""
        return np.maximum.reduceat(values, self.starts) if len(self.starts) else np.empty(0)

    def first(self, true: Flags) -> Floats:
        """How many rows of the stretch are before the first where it is true; NaN if none is."""
        found = np.full(len(self.starts), np.nan)
        hits = np.flatnonzero(true)[::-1]
        found[self.of[hits]] = hits - self.starts[self.of[hits]]  # of several the last counts
        return found


def by_trial(study: pd.DataFrame) -> tuple[pd.DataFrame, Stretches]:
    """The table in the order of its trials' names, and each trial as a stretch of all rows."""
    codes, _ = pd.factorize(study["trial_id"], sort=True)
    if (np.diff(codes) < 0).any():
        order = np.argsort(codes, kind="stable")
        codes, study = codes[order], study.iloc[order]
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    return study, Stretches(np.arange(len(codes)), codes.astype(np.int64), starts)
