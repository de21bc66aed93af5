"""Studies beside each other: joint front, hypervolume, what was paid for it, paired tests."""

import logging
from collections.abc import Sequence
from itertools import chain, combinations
from pathlib import Path

import numpy as np
import pandas as pd

from growsearch.comparing.attainment import Run, attainment_difference
from growsearch.comparing.entrants import Entrant, check_comparable, differences, read_entrants
from growsearch.comparing.found import Comparison, PairResult, Reached, StudyResult
from growsearch.comparing.paired import SEED, factors, paired
from growsearch.comparing.progress import Progress, progress
from growsearch.stopping.cost import Metric, check_paid
from growsearch.stopping.hypervolume import SHARES, Bounds, HypervolumeHistory, hypervolume
from growsearch.study.best import cost_column, noted_metric, study_cost
from growsearch.study.pareto import pareto_front
from growsearch.trial.errors import InputError
from growsearch.trial.status import Status

_LOG = logging.getLogger("growsearch")


def compare_studies(
    folders: Sequence[str | Path], *, cost: str | None = None, metric: str | None = None,
    paid: str = "param_epochs", bounds: Bounds | None = None, force: bool = False,
) -> Comparison:  # fmt: skip
    """The studies in `folders` beside each other, by one cost and one metric.

    Those are by default what the studies' searches compare. `paid` is the cost in which is counted
    what a search pays: a sum over epochs. `bounds` are those of an earlier comparison; without,
    they are the ranges of all completed trials. Raises InputError if the studies have other data,
    splits, sizes of the training set, horizons or metrics, unless `force`; if a study has no
    completed trial with finite numbers; if all of them have the same cost or the same metric; or if
    none lies within `bounds`.
    """
    check_paid(paid)
    entrants = read_entrants(folders)
    qualities, noted = zip(*(noted_metric(e.info, e.trials, metric) for e in entrants), strict=True)
    notes = tuple(dict.fromkeys(chain(*noted)))
    for note in notes:
        _LOG.warning(note)
    prices = [study_cost(e.info, e.trials).name if cost is None else cost for e in entrants]
    more = _apart("metric", entrants, [one.name for one in qualities])
    more += _apart("cost", entrants, prices)
    if not force:
        check_comparable(entrants, more)
    chosen, price = qualities[0], prices[0]
    column = cost_column(entrants[0].trials, price)
    points = _points(entrants, column, chosen)
    bounds = bounds or _bounds(points, price, chosen)
    front = _joint_front(points, chosen)
    whole = _hypervolume(front, chosen, bounds)
    if whole == 0:
        raise InputError(
            f"no trial lies within bounds={bounds}, so there is no hypervolume; give those of a "
            f"comparison by {price} and {chosen.name}, or none"
        )
    went = {e.name: progress(e, paid) for e in entrants}
    curves = {e.name: _curve(points, e, went[e.name], chosen, bounds) for e in entrants}
    return Comparison(
        cost=price, metric=chosen.name, minimized=chosen.minimized, unit=paid, bounds=bounds,
        hypervolume=whole, front=front, differences=(*differences(entrants), *more),
        notes=notes,
        studies=tuple(
            _result(e, points, front, chosen, bounds, whole, went[e.name], curves[e.name])
            for e in entrants
        ),
        pairs=tuple(
            _pair(one, other, points, chosen, column, bounds)
            for one, other in combinations(entrants, 2)
        ),
        points=points,
        progress={
            name: tuple(
                (done.paid, value / whole)
                for done, value in zip(went[name].completions, curve, strict=True)
            )
            for name, curve in curves.items()
        },
    )  # fmt: skip


def _apart(what: str, entrants: Sequence[Entrant], names: Sequence[str]) -> list[str]:
    """The first study whose metric, or cost, is not that of the first study."""
    return [
        f"their {what} is {names[0]} in {entrants[0].name!r} and {name} in {entrant.name!r} (name "
        f"one with --{what})"
        for entrant, name in zip(entrants, names, strict=True)
        if name != names[0]
    ][:1]


def _points(entrants: Sequence[Entrant], cost: str, metric: Metric) -> pd.DataFrame:
    """The completed trials of all studies that have finite numbers; InputError if one has none."""
    parts = []
    for entrant in entrants:
        trials = entrant.trials[entrant.trials["status"] == Status.COMPLETED]
        for column in (cost, metric.column):
            if column not in trials:
                raise InputError(
                    f"study {entrant.name!r} has no column {column!r}; name another cost or metric"
                )
        if trials.empty:
            raise InputError(
                f"study {entrant.name!r} has no completed trial to compare; let its search end"
            )
        part = pd.DataFrame({
            "study": entrant.name, "trial_id": trials["trial_id"], "seed": trials[SEED],
            "cost": trials[cost].astype(float), "metric": trials[metric.column].astype(float),
            "status": trials["status"],
        })  # fmt: skip
        finite = part[["cost", "metric"]].abs() < np.inf
        part = part[finite.all(axis=1)]
        if part.empty:
            columns = {"cost": cost, "metric": metric.column}
            lacking = [name for what, name in columns.items() if not finite[what].any()]
            raise InputError(
                f"no completed trial of study {entrant.name!r} has a finite value of "
                f"{' and '.join(lacking or columns.values())}; name another cost or metric "
                "(--cost, --metric)"
            )
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _bounds(points: pd.DataFrame, cost: str, metric: Metric) -> Bounds:
    values = points["metric"].map(metric.value)
    if points["cost"].nunique() < 2 or values.nunique() < 2:
        raise InputError(
            f"the studies' completed trials do not differ in both {cost} and {metric.name}, so "
            "there is no front; name another cost or metric"
        )
    return Bounds.around(_outcomes(points, metric))


def _joint_front(points: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    best = pareto_front(points, "cost", "metric", metric.minimized)
    rows = [
        {
            "cost": cost, "metric": value,
            "studies": tuple(dict.fromkeys(group["study"])),
            "trials": tuple(f"{row.study}/{row.trial_id}" for row in group.itertuples()),
        }
        for (cost, value), group in best.groupby(["cost", "metric"], sort=True)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _outcomes(points: pd.DataFrame, metric: Metric) -> list[tuple[float, float]]:
    return list(zip(points["cost"], points["metric"].map(metric.value), strict=True))


def _by_trial(
    points: pd.DataFrame, entrant: Entrant, metric: Metric
) -> dict[str, tuple[float, float]]:
    own = points[points["study"] == entrant.name]
    return dict(zip(own["trial_id"], _outcomes(own, metric), strict=True))


def _hypervolume(points: pd.DataFrame, metric: Metric, bounds: Bounds) -> float:
    return hypervolume(_outcomes(points, metric), bounds)


def _curve(
    points: pd.DataFrame, entrant: Entrant, went: Progress, metric: Metric, bounds: Bounds
) -> list[float]:
    """After each completion, the hypervolume of the trials that have completed."""
    outcomes = _by_trial(points, entrant, metric)
    history, curve = HypervolumeHistory(bounds), [0.0]
    for done in went.completions:
        outcome = outcomes.get(done.trial)  # none if its metric is not finite
        curve.append(curve[-1] if outcome is None else history.add(*outcome))
    return curve[1:]


def _result(
    entrant: Entrant, points: pd.DataFrame, front: pd.DataFrame, metric: Metric, bounds: Bounds,
    whole: float, went: Progress, curve: Sequence[float],
) -> StudyResult:  # fmt: skip
    own = points[points["study"] == entrant.name]
    owners = [names for names in front["studies"] if entrant.name in names]
    volume = _hypervolume(own, metric, bounds)
    return StudyResult(
        study=entrant.name, folder=str(entrant.folder), trials=len(entrant.trials),
        completed=len(own), seeds=entrant.trials[SEED].nunique(dropna=False),
        on_front=len(owners), alone_on_front=owners.count((entrant.name,)),
        hypervolume=volume, share=volume / whole,
        reached=tuple(_reached(share, whole, went, curve) for share in SHARES),
        paid=went.paid, nominal=went.nominal, order="log" if went.logged else "names",
    )  # fmt: skip


def _reached(share: float, whole: float, went: Progress, curve: Sequence[float]) -> Reached:
    for number, (done, value) in enumerate(zip(went.completions, curve, strict=True), start=1):
        if value >= share * whole * (1 - 1e-12):
            return Reached(share, number, done.paid, done.nominal)
    return Reached(share, None, None, None)


def _pair(
    one: Entrant, other: Entrant, points: pd.DataFrame, metric: Metric, cost: str, bounds: Bounds
) -> PairResult:
    ahead = attainment_difference(*(_runs(points, e, metric, bounds) for e in (one, other)))
    return PairResult(
        one.name, other.name, *ahead, factors=tuple(factors(one.trials, other.trials)),
        tests=tuple(paired(one.trials, other.trials, metric.column, cost, metric.minimized)),
    )  # fmt: skip


def _runs(points: pd.DataFrame, entrant: Entrant, metric: Metric, bounds: Bounds) -> list[Run]:
    """The scaled outcomes of each seed; a seed without a completed trial has none."""
    outcomes = _by_trial(points, entrant, metric)
    runs = [
        [bounds.scaled(outcomes[name]) for name in names if name in outcomes]
        for _, names in entrant.trials.groupby(SEED, dropna=False)["trial_id"]
    ]
    return [np.array(run).reshape(-1, 2) for run in runs]
