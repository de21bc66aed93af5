"""The best configuration of a study, under constraints."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from growsearch.stopping.cost import Metric, OwnNumber, cost_of, metric_of
from growsearch.trial.components import components
from growsearch.trial.errors import InputError
from growsearch.trial.history import OWN
from growsearch.trial.options import suggestion
from growsearch.trial.status import Status


@dataclass(frozen=True)
class Choice:
    """The trials that differ in their seed alone, and how they are in the mean."""

    trials: tuple[str, ...]
    """Their names, the one of the best metric first."""
    mean: dict[str, float]
    """Over these trials, by column: the metric, validation and test accuracy, and costs."""
    std: dict[str, float | None]
    """The standard deviations (of a sample, n - 1); None for one trial."""
    misses: tuple[str, ...]
    """The constraints that it does not meet, in words."""


def choose(
    trials: pd.DataFrame, cost: str = "ppe", metric: str | Metric = "val_accuracy",
    at_most: Mapping[str, float | None] | None = None, min_accuracy: float | None = None,
) -> Choice:  # fmt: skip
    """The best configuration among `summarize`'s completed trials.

    Trials that differ in `seed` alone are one configuration, which is judged by its means at the
    last epoch, to 12 digits. `at_most` are limits by the name of a cost; `min_accuracy` is a limit
    of validation accuracy in percent. Of the configurations that meet them, it is the one of the
    best `metric`, and with `min_accuracy` the cheapest by `cost`; of equals the cheaper, or the
    better. If none meets them, it is the one of the least sum of relative excesses. Raises
    InputError if no trial has completed, or the study does not have the cost or the metric.
    """
    completed = trials[trials["status"] == Status.COMPLETED]
    if not len(completed):
        raise InputError(
            f"none of the study's {len(trials)} trials has completed, so there is no best one; "
            "resume it, or name a trial"
        )
    chosen = study_metric({}, trials, metric) if isinstance(metric, str) else metric
    quality, sign = chosen.column, -1 if chosen.minimized else 1
    price = cost_column(trials, cost)
    limits = {
        cost_column(trials, name): _finite(name, limit)
        for name, limit in (at_most or {}).items()
        if limit is not None
    }
    if min_accuracy is not None and completed["val_accuracy"].isna().all():
        raise InputError(
            f"min_accuracy={min_accuracy:g}, but the trials have no accuracy; leave it out"
        )
    least = None if min_accuracy is None else _finite("min_accuracy", min_accuracy)
    wanted = dict.fromkeys([quality, "val_accuracy", "test_accuracy", price, *limits])
    columns = [c for c in wanted if completed[c].notna().any()]
    completed = completed.dropna(subset=[quality, price, *limits])
    if not len(completed):
        raise InputError(
            f"no completed trial has all of {', '.join([quality, price, *limits])}, so there is no "
            "best one; choose another metric or cost"
        )
    choices = []
    for names in by_configuration(completed):
        group = completed.loc[names].sort_values(quality, ascending=sign < 0, kind="stable")
        values = {column: group[column].astype(float) for column in columns}
        mean = {column: float(v.mean()) for column, v in values.items()}
        std = {c: float(v.std()) if len(group) > 1 else None for c, v in values.items()}
        compared = {column: _rounded(value) for column, value in mean.items()}
        misses, excess = _misses(compared, limits, least)
        worth, spent = -sign * compared[quality], compared[price]
        order = (spent, worth) if least is not None else (worth, spent)
        found = Choice(tuple(group["trial_id"]), mean, std, misses)
        choices.append(((excess, *order, found.trials[0]), found))
    return min(choices, key=lambda pair: pair[0])[1]


def _misses(
    mean: Mapping[str, float], limits: Mapping[str, float], least: float | None
) -> tuple[tuple[str, ...], float]:
    """The constraints that are not met, in words, and the sum of their relative excesses."""
    misses, excess = [], 0.0
    for column, limit in limits.items():
        if not mean[column] <= limit:
            value, most = _told_apart(mean[column], limit)
            misses.append(f"{column} is {value}, above {most}")
            excess += (mean[column] - limit) / limit if limit > 0 else math.inf
    if least is not None and math.isnan(mean["val_accuracy"]):
        misses.append(f"val_accuracy is not known, so not {least:g} or more")
        excess = math.inf
    elif least is not None and mean["val_accuracy"] < least:
        value, fewest = _told_apart(mean["val_accuracy"], least)
        misses.append(f"val_accuracy is {value}, below {fewest}")
        excess += (least - mean["val_accuracy"]) / least
    return tuple(misses), excess


def _rounded(value: float) -> float:
    """Without the last digits of a mean, in which equally good configurations differ."""
    return float(f"{value:.12g}")


def _told_apart(value: float, limit: float) -> tuple[str, str]:
    """Both numbers, with at least six digits and as many as they differ by."""
    digits = next((n for n in range(6, 12) if f"{value:.{n}g}" != f"{limit:.{n}g}"), 12)
    return f"{value:.{digits}g}", f"{limit:.{digits}g}"


def by_configuration(trials: pd.DataFrame) -> list[list[Any]]:
    """Row labels of the trials, those together that differ in their seed alone."""
    groups: dict[int, list[Any]] = {}
    for label, number in zip(trials.index, configurations(trials), strict=True):
        groups.setdefault(number, []).append(label)
    return list(groups.values())


def configurations(
    trials: pd.DataFrame, apart: Collection[str] = frozenset({"config/seed"})
) -> list[int]:
    """For each trial the number of its configuration, from 0: trials that differ in the columns
    `apart` alone have the same.
    """
    options = [c for c in map(str, trials) if c.startswith("config/") and c not in apart]
    numbers: dict[tuple[Any, ...], int] = {}
    # pandas makes NaN of None, which equals nothing
    rows = trials[options].itertuples(index=False)
    same = (tuple(None if value != value else value for value in row) for row in rows)
    return [numbers.setdefault(row, len(numbers)) for row in same]


def study_metric(info: dict[str, Any], trials: pd.DataFrame, name: str | None = None) -> Metric:
    """The metric of `noted_metric`, without its notes."""
    return noted_metric(info, trials, name)[0]


def noted_metric(
    info: dict[str, Any], trials: pd.DataFrame, name: str | None = None
) -> tuple[Metric, list[str]]:
    """The metric `name` of the study, by default what the study takes for accuracy; and notes.

    That is its search's metric, or what its trials have. A note says if it is the latter because
    the plugin of the former is not loaded. Of a task's own numbers `info` says which is better;
    without, lower is. Raises InputError, which lists what there is, if the study does not have the
    metric.
    """
    wanted = info.get("settings", {}).get("metric") if name is None else name
    there = {str(c) for c in trials.columns[trials.notna().any()]}
    named = [n for n in components("metric") if metric_of(n).column in there]
    own = sorted(c.removeprefix(OWN) for c in there if c.startswith(f"{OWN}val_"))
    number = str(wanted).removeprefix(OWN)
    if wanted in components("metric") and (name is None or wanted in named):
        return metric_of(str(wanted)), []
    if number in own:
        better = info.get("own_metrics", {}).get(number, "lower")
        return OwnNumber(number=number, better=better), []
    if name is not None:
        known = (*named, *(f"{OWN}{n}" for n in own))
        raise InputError(f"the study has no metric {name[:100]!r}{suggestion(name, known)}")
    shown = metric_of("val_accuracy" if "val_accuracy" in there else "val_loss")
    if wanted is None or number in info.get("own_metrics", {}):
        return shown, []
    return shown, [
        f"Metric {wanted!r} is of a plugin that is not loaded, so trials are compared by "
        f"{shown.name}; give --plugin where the command has it, or --metric."
    ]


@dataclass(frozen=True)
class StudyCost:
    """What a study compares trials by besides its metric."""

    name: str
    column: str
    """The cost's column in its tables."""


def study_cost(info: dict[str, Any], trials: pd.DataFrame) -> StudyCost:
    """The first cost that the study's search compares; "ppe" for a study that names none.

    Raises InputError if its trials do not have it.
    """
    name = first_cost(info)
    return StudyCost(name, cost_column(trials, name))


def first_cost(info: dict[str, Any]) -> str:
    """The name of the first cost that the study's search compares; "ppe" if it names none."""
    return next(iter(info.get("settings", {}).get("costs", ())), "ppe")


def cost_column(trials: pd.DataFrame, name: str) -> str:
    """The column of the cost `name`, also if its plugin is not loaded.

    Raises InputError if the study does not have it.
    """
    column = cost_of(name).result() if name in components("cost") else f"cost/{name}"
    if column not in trials or trials[column].isna().all():
        known = [n for n, cls in components("cost").items() if cls.result() in trials]  # type: ignore[attr-defined]
        known += [str(c).removeprefix("cost/") for c in trials if str(c).startswith("cost/")]
        raise InputError(
            f"the study has no cost {name!r}{suggestion(name, tuple(dict.fromkeys(known)))}"
        )
    return column


def _finite(name: str, limit: float) -> float:
    if not math.isfinite(limit) or limit <= 0:
        raise InputError(f"{name} has a limit of {limit:g}; give a number above 0")
    return _rounded(limit)
