"""Pareto fronts: the trials that no other trial dominates."""

import moocore
import pandas as pd

from growsearch.stopping.cost import lower_is_better
from growsearch.trial.errors import InputError
from growsearch.trial.status import Status


def is_pareto_optimal(
    trials: pd.DataFrame, cost: str = "ppe", accuracy: str = "val_accuracy",
    minimized: bool | None = None,
) -> pd.Series:  # fmt: skip
    """For each row of `summarize`'s table, whether the trial is on the front.

    A trial is dominated if another trial costs no more, is no less accurate, and is better in at
    least one of the two. `accuracy` may be a loss, of which less is better, or another column of
    which `minimized` has to say whether less is better. Equal trials are all on the front. Only
    completed trials are compared, because a trial that ended early did not pay its full cost.
    Raises InputError if the table lacks a column, or if nothing tells which is better in it.
    """
    for column in (cost, accuracy):
        if column not in trials:
            raise InputError(
                f"the trials have no column {column!r}; choose from {', '.join(trials.columns)}"
            )
    optimal = pd.Series(False, index=trials.index)
    completed = trials.loc[trials["status"] == Status.COMPLETED, [cost, accuracy]].dropna()
    if len(completed):
        optimal[completed.index] = moocore.is_nondominated(
            completed.to_numpy(dtype=float),
            maximise=[False, not (lower_is_better(accuracy) if minimized is None else minimized)],
            keep_weakly=True,
        )
    return optimal


def pareto_front(
    trials: pd.DataFrame, cost: str = "ppe", accuracy: str = "val_accuracy",
    minimized: bool | None = None,
) -> pd.DataFrame:  # fmt: skip
    """The rows of `summarize`'s table that `is_pareto_optimal` selects, cheapest first."""
    optimal = is_pareto_optimal(trials, cost, accuracy, minimized)
    return trials[optimal].sort_values([cost, "trial_id"])
