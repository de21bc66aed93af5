"""Pareto fronts: no other trial is both cheaper and more accurate."""

import moocore
import pandas as pd

from growsearch.trial.errors import InputError
from growsearch.trial.status import Status


def is_pareto_optimal(
    trials: pd.DataFrame, cost: str = "ppe", accuracy: str = "val_accuracy"
) -> pd.Series:
    """For each row of `summarize`'s table, whether it is on the front.

    A trial is dominated if another costs no more, is no less accurate, and is better in one of
    them; of equal trials all are on the front. Only completed trials compete: one that ended
    early has not paid its cost.
    """
    for column in (cost, accuracy):
        if column not in trials:
            raise InputError(
                f"trials have no column {column!r}; choose from {', '.join(trials.columns)}"
            )
    optimal = pd.Series(False, index=trials.index)
    completed = trials.loc[trials["status"] == Status.COMPLETED, [cost, accuracy]].dropna()
    if len(completed):
        optimal[completed.index] = moocore.is_nondominated(
            completed.to_numpy(dtype=float), maximise=[False, True], keep_weakly=True
        )
    return optimal


def pareto_front(
    trials: pd.DataFrame, cost: str = "ppe", accuracy: str = "val_accuracy"
) -> pd.DataFrame:
    """The non-dominated rows of `summarize`'s table, cheapest first."""
    return trials[is_pareto_optimal(trials, cost, accuracy)].sort_values([cost, "trial_id"])
