"""How much each option of a search decides a cost or a metric of its trials."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

LEAST_TRIALS = 12
"""Completed trials below which no importance is computed."""
MOST_TRIALS = 1000
"""More are sampled, since a forest takes seconds for each thousand."""
LARGEST = float(np.finfo(np.float32).max) / 2
"""Options beyond it count as it: forests take float32, and what is missing has room below."""


@dataclass(frozen=True)
class Importance:
    """The options of a study, and what each of them explains of one number."""

    options: list[str]
    mean: list[float]
    """The loss of R² when the option's values are shuffled among trials that the forest has not
    seen."""
    std: list[float]
    explained: float
    """R² of the forest's predictions for trials that it has not seen; at most 1."""


def importances(options: pd.DataFrame, number: Sequence[float], seed: int = 0) -> Importance | None:
    """Permutation importance of the columns of `options` for `number`, by scikit-learn.

    Random forests predict the number from the options in a three-fold cross-validation; each option
    is shuffled three times in each fold. None if there are fewer than LEAST_TRIALS rows, or nothing
    varies. Raises nothing: text is encoded by its order, a missing value is a value of its own.
    """
    values = np.asarray(number, dtype=float)
    kept = np.flatnonzero(np.isfinite(values))
    if len(kept) > MOST_TRIALS:
        kept = np.sort(np.random.default_rng(seed).choice(kept, MOST_TRIALS, replace=False))
    table, values = options.iloc[kept], values[kept]
    table = table.loc[:, [table[c].nunique(dropna=False) > 1 for c in table]]
    if len(values) < LEAST_TRIALS or not len(table.columns) or np.ptp(values) == 0:
        return None
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import KFold

    coded = np.column_stack([_coded(table[column]) for column in table])
    losses, scores = [], []
    for train, test in KFold(3, shuffle=True, random_state=seed).split(coded):
        forest = RandomForestRegressor(n_estimators=10, random_state=seed, n_jobs=1)
        forest.fit(coded[train], values[train])
        shuffled = permutation_importance(
            forest, coded[test], values[test], n_repeats=3, random_state=seed
        )
        losses.append(shuffled["importances"])
        scores.append(forest.score(coded[test], values[test]))
    every = np.concatenate(losses, axis=1)
    order = np.argsort(-every.mean(axis=1), kind="stable")
    return Importance(
        [str(table.columns[i]) for i in order],
        every.mean(axis=1)[order].tolist(),
        every.std(axis=1)[order].tolist(),
        float(np.mean(scores)),
    )


def _coded(column: pd.Series) -> np.ndarray:
    """Numbers as they are; text by its place in the alphabet; what is missing below all others."""
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.notna().sum() == column.notna().sum():
        values = numbers.to_numpy(dtype=float, na_value=np.nan).clip(-LARGEST, LARGEST)
        low = np.fmin.reduce(values)
        # a large number less 1 is the same float32
        below = min(low - 1, float(np.nextafter(np.float32(low), np.float32(-np.inf))))
        return np.where(np.isnan(values), below, values)
    texts = column.astype("string").fillna("")
    return np.searchsorted(np.unique(texts), texts).astype(float)
