"""Trials compared with others at equal steps, FLOPs or seconds."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from growsearch.trial.errors import InputError


def at_cost(
    cost: float, costs: Sequence[float], losses: Sequence[float], slack: float = 0.0
) -> float:
    """The loss at `cost`, interpolated over log cost between points of rising `costs`.

    NaN outside of them. Within the share `slack` beyond the ends, it is the loss at the end.
    """
    if not costs[0] * (1 - slack) <= cost <= costs[-1] * (1 + slack):
        return math.nan
    return float(np.interp(np.log(cost), np.log(np.asarray(costs, dtype=float)), losses))


def best_at_cost(paid: "pd.Series", static: pd.DataFrame, cost: str, loss: str) -> float:
    """The least `loss` of a static trial for at most as much of the column `cost` as `paid` has.

    Between horizons of an architecture its loss is interpolated over log cost. NaN below all.
    """
    least = static[static[cost] <= 1.001 * paid[cost]][loss].min()
    for _, horizons in static.sort_values(cost).groupby("architecture"):
        between = at_cost(paid[cost], list(horizons[cost]), list(horizons[loss]))
        least = np.fmin(least, between)
    return float(least)


def static_over_whole_horizon(trial: "pd.Series", beside: pd.DataFrame) -> "pd.Series":
    """The static trial among `beside` that has the trial's last architecture and its epochs.

    Raises InputError, which names the trial, if there is none.
    """
    same = ["architecture", "epochs"]
    whole = beside[(beside[same] == trial[same]).all(axis=1)]
    if whole.empty:
        raise InputError(
            f"trial {trial['trial_id']} has no static one of architecture {trial['architecture']}, "
            f"{trial['epochs']} epochs and equal seed and lr_schedule; add it to the space"
        )
    return whole.iloc[0]


def trial_seconds(study: pd.DataFrame) -> pd.Series:
    """By trial_id, the sum of a trial's `epoch_seconds`."""
    total: pd.Series = epoch_seconds(study).groupby(study["trial_id"]).sum()
    return total


def epoch_seconds(study: pd.DataFrame) -> pd.Series:
    """For each row of `read_study`'s table, the least seconds of training an epoch like it.

    Epochs are alike that train a network of the same size on as many examples. What else a machine
    does only adds to the seconds of an epoch, so their least is what sums can be compared by.
    """
    apart = (
        "architecture", "parameters", "macs", "phase", "config/network", "config/dataset",
        "config/train_size", "config/train_fraction", "config/batch_size", "config/steps_an_epoch",
    )  # fmt: skip
    alike = study.groupby([name for name in apart if name in study], dropna=False)
    least: pd.Series = alike["train_seconds"].transform("min")
    return least
