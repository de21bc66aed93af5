"""Trials compared with others at equal steps, FLOPs or seconds."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

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


class StaticNetworks:
    """Static trials of several learning-rate schedules, depths, horizons and seeds.

    `trials` has the columns config/lr_schedule, config/seed, architecture, val_loss, and those of
    costs and losses that `best_at` is asked for.
    """

    def __init__(self, trials: pd.DataFrame) -> None:
        by = ["config/lr_schedule", "architecture", "config/seed"]
        self._trials: dict[Any, pd.DataFrame] = dict(iter(trials.groupby(by)))
        self._curves: dict[tuple[Any, ...], tuple[list[float], list[float]]] = {}

    def best_at(self, paid: "pd.Series", cost: str, loss: str) -> float:
        """The `loss` of the best depth for at most as much of `cost` as the trial `paid` has.

        It is a loss of the trial's schedule and seed. The depth is the one with the least mean
        val_loss of all seeds: the best one of each seed would be chosen with hindsight. Between
        horizons a loss is interpolated over log cost. NaN below all of them.
        """
        schedule, seed, most = paid["config/lr_schedule"], paid["config/seed"], paid[cost]
        there = [(depth, known) for own, depth, known in self._trials if own == schedule]
        seeds = {known for _, known in there}
        best, least = math.nan, math.inf
        for depth in dict.fromkeys(depth for depth, _ in there):
            own = self._at((schedule, depth, seed), most, cost, loss)
            mean = fmean(self._at((schedule, depth, n), most, cost, "val_loss") for n in seeds)
            if not math.isnan(own) and mean < least:  # no NaN is below
                best, least = own, mean
        return best

    def _at(self, of: tuple[str, str, int], most: float, cost: str, loss: str) -> float:
        if of not in self._trials:
            return math.nan
        if (*of, cost, loss) not in self._curves:
            rising = self._trials[of].dropna(subset=[cost]).sort_values(cost)
            self._curves[*of, cost, loss] = list(rising[cost]), list(rising[loss])
        costs, losses = self._curves[*of, cost, loss]
        return at_cost(min(most, costs[-1]), costs, losses, slack=0.001) if costs else math.nan


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
