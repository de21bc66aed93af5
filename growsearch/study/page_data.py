"""What the page of a report shows, as one dict in JSON's types."""

import math
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from growsearch.stopping.cost import Metric, costs
from growsearch.study.as_json import plain
from growsearch.study.attainment import attainment
from growsearch.study.best import StudyCost, configurations
from growsearch.study.epoch_tree import count_epochs, epoch_tree
from growsearch.study.figures import label_of
from growsearch.study.folder import LOG_FILE
from growsearch.study.importance import LEAST_TRIALS, importances
from growsearch.study.lipschitz_ratio import lipschitz_ratios
from growsearch.study.outcomes import count_outcomes, judged_metric
from growsearch.study.schema import schema
from growsearch.study.search_log import ending_order
from growsearch.study.spending import bounds_of, spending
from growsearch.study.summary import paid_columns
from growsearch.trial.history import OWN
from growsearch.trial.status import Status
from growsearch.trial.trial_options import every_option

CURVES = {
    "val_accuracy": "validation accuracy (%)",
    "test_accuracy": "test accuracy (%)",
    "train_accuracy": "training accuracy (%)",
    "val_loss": "validation loss",
    "train_loss": "training loss",
    "lipschitz": "Lipschitz constant",
    "lipschitz_ratio": "Lipschitz ratio",
    "lr": "learning rate",
    "parameters": "parameters",
}
"""What is drawn over epochs, besides a task's own numbers."""
_METRICS = ("val_accuracy", "val_loss", "best_val_accuracy", "best_val_loss", "test_accuracy",
            "train_loss")  # fmt: skip
_SIZES = ("parameters", "macs", "epochs")
_UNSHOWN = {"key", "decision"}


@dataclass(frozen=True)
class ReportedStudy:
    """The study of a report, and by what its trials are compared."""

    folder: Path
    title: str
    info: dict[str, Any]
    study: pd.DataFrame
    """The table of `read_study`."""
    trials: pd.DataFrame
    """The table of `summarize`, with a column val_delta."""
    metric: Metric
    cost: StudyCost
    found: pd.DataFrame
    """The rows of `comparisons.found_networks` that were also trained from scratch."""
    audit: dict[str, int] | None = None
    commands: dict[str, str] = field(default_factory=dict)
    """By trial, the command that trains it again."""
    notes: tuple[str, ...] = ()
    """What a reader must know of the study: damaged tables, a metric whose plugin is not loaded."""
    left: str | None = None
    """The sentence of `left_by_budget`."""
    asked: str | None = None
    """The name of the metric, if the report was asked to show another than the study's."""


def searched_options(info: dict[str, Any], trials: pd.DataFrame) -> list[str]:
    """The options in which the study's trials differ; those that no trial has are left out."""
    return [name for name in info["searched"] if f"config/{name}" in trials]


def page_data(subject: ReportedStudy, live: bool = False) -> dict[str, Any]:
    """All that the page shows. Floats have seven digits, but all of them where they are options,
    costs or metrics of trials; those that are not finite are null.

    A `live` page says itself how far the study is.
    """
    study, trials, info = subject.study, subject.trials, subject.info
    cost, metric = subject.cost, subject.metric
    page: dict[str, Any] = plain({
        "title": subject.title,
        "folder": str(subject.folder),
        "info": info,
        "notes": [*subject.notes, *_progress(subject, live)],
        "searched": searched_options(info, trials),
        "many": sorted(name for name, rule in every_option().items() if rule.many),
        "epochs": len(study),
        "seconds": {
            "nominal": trials["seconds"].sum(), "paid": trials["paid_seconds"].sum()
        },
        "groups": configurations(trials),
        "curves": curve_columns(study, trials, metric),
        "costs": cost_axes(trials),
        "metrics": metric_axes(trials, metric, info),
        "metric": _shown(metric),
        "judged": _shown(judged_metric(trials, metric) or metric),
        "asked": subject.asked,
        "cost": {
            "column": cost.column,
            "name": cost.name.replace("_", " "),
            "label": label_of(cost.column),
        },
        "counts": asdict(count_epochs(study)),
        "outcomes": count_outcomes(trials),
        "audit": subject.audit,
        "tree": epoch_tree(study).to_dict("list"),
        "spending": spending_curves(subject),
        "attainment": seed_attainment(trials, metric, cost),
        "importance": option_importance(trials, info, metric, cost),
        "commands": subject.commands,
    }, digits=7)  # fmt: skip
    # a search space is made of options, and means of costs and metrics are compared
    whole = {axis["column"] for axis in (*page["costs"], *page["metrics"], page["judged"])}
    page["trials"] = {
        name: plain(values, None if name.startswith("config/") or name in whole else 7)
        for name, values in trial_columns(trials).items()
    }
    return page


def _shown(metric: Metric) -> dict[str, Any]:
    return {
        "column": metric.column,
        "minimized": metric.minimized,
        "percent": is_percent(metric.column),
        "label": label_of(metric.column),
        "name": metric.title,
    }


def _progress(subject: ReportedStudy, live: bool) -> list[str]:
    left = [f"{subject.left}."] if subject.left and not live else []
    return left + notes_on(subject.trials, subject.metric, live or bool(left))


def notes_on(trials: pd.DataFrame, metric: Metric, live: bool = False) -> list[str]:
    """What is unusual about the trials, in sentences."""
    counts = count_outcomes(trials)
    notes = []
    going = counts.get(Status.RUNNING, 0) + counts.get(Status.WAITING, 0)
    if live:
        pass
    elif not len(trials):
        notes.append("No epoch has finished yet. The report shows trials from their first epoch.")
    elif going:
        notes.append(
            f"{going} of {len(trials)} trials had not ended when this was written: the search "
            "still runs, or was interrupted. Write the report again to see more."
        )
    if len(trials) and not counts.get(Status.COMPLETED):
        ends = ", ".join(f"{n} {status}" for status, n in counts.items())
        notes.append(f"No trial has completed ({ends}), so there is no front.")
    completed = trials[trials["status"] == Status.COMPLETED] if len(trials) else trials
    if len(completed) and completed[metric.column].isna().all():
        notes.append(f"No completed trial has a {metric.title}.")
    return notes


def is_percent(column: str) -> bool:
    return "accuracy" in column


def trial_columns(trials: pd.DataFrame) -> dict[str, Any]:
    """Columns by name: a list with a value a trial, or {"all": value} where trials do not differ.

    What is a list for each trial is left out.
    """
    lists = {f.name for f in schema() if pa.types.is_list(f.type)}
    found: dict[str, Any] = {}
    for name in trials:
        if name in lists | _UNSHOWN:
            continue
        values = [None if v is pd.NA or v != v else v for v in trials[name].tolist()]
        same = len(values) > 1 and all(v == values[0] for v in values)
        found[str(name)] = {"all": values[0]} if same else values
    return found


def curve_columns(study: pd.DataFrame, trials: pd.DataFrame, metric: Metric) -> dict[str, Any]:
    """The epochs of all trials one after another, each trial's from 1, in the trials' order.

    `lengths` says how many epochs each trial has; architectures and phases are numbers of lists.
    """
    study = study.assign(lipschitz_ratio=_ratios(study))
    own = [str(c) for c in study if str(c).startswith(OWN)]
    wanted = {**CURVES, **{c: c.removeprefix(OWN).replace("_", " ") for c in own}}
    if metric.column in study and metric.column not in wanted:
        wanted[metric.column] = metric.title
    there = {c: label for c, label in wanted.items() if c in study and study[c].notna().any()}
    lengths = study.groupby("trial_id", sort=True).size()
    depths, architectures = pd.factorize(study["architecture"])
    phases, names = pd.factorize(study["phase"])
    return {
        "lengths": lengths.reindex(trials["trial_id"]).tolist(),
        "labels": there,
        "numbers": {c: packed([short(v) for v in study[c].tolist()]) for c in there},
        "architecture": depths.tolist(),
        "architectures": list(architectures),
        "phase": phases.tolist() if len(names) > 1 else None,
        "phases": list(names),
    }


_FEW, _MANY = 100, 1000


def packed(values: list[Any]) -> list[Any] | dict[str, list[Any]]:
    """A long column of few different numbers as {"values": numbers, "places": of each epoch's}."""
    known = {value: place for place, value in enumerate(dict.fromkeys(values))}
    if len(values) < _MANY or len(known) > _FEW:
        return values
    return {"values": list(known), "places": [known[value] for value in values]}


def short(value: Any) -> float | int | None:
    """A number of a curve with five digits, so that the page of a large study stays small."""
    if value is None or value is pd.NA or not math.isfinite(value):
        return None
    rounded = float(f"{value:.5g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


def _ratios(study: pd.DataFrame) -> pd.Series:
    """The Lipschitz ratios of trials that grow by them; NaN for the others."""
    ratios = pd.Series(math.nan, index=study.index)
    if "config/rtol" not in study or "lipschitz" not in study:
        return ratios
    own = study[study["config/rtol"].notna() & study["config/window"].notna()]
    for _, trial in own.groupby("trial_id", sort=False):
        constants = trial["lipschitz"].astype(float).tolist()
        window = int(trial["config/window"].iloc[0])
        first = 1 if trial["config/baseline"].iloc[0] == "first-epoch" else window
        found = lipschitz_ratios(constants, trial["architecture"].tolist(), window, first)
        ratios.loc[trial.index] = np.array(found)
    return ratios


def cost_axes(trials: pd.DataFrame) -> list[dict[str, Any]]:
    """What may stand on the axis of cost: nominal costs, then paid ones, then sizes.

    `name` is what `growsearch best --cost` takes; None if it does not take it.
    """
    known = {cost.result(): name for name, cost in costs().items()}
    plugins = [str(c) for c in trials if str(c).startswith("cost/") and c not in known]
    named = known | {column: column.removeprefix("cost/") for column in plugins}
    axes = [_axis(c, label_of(c), "nominal", n) for c, n in named.items()]
    paid = paid_columns() | {"epochs": "paid_epochs"}
    axes += [_axis(c, f"{label_of(of)} paid", "paid") for of, c in paid.items()]
    axes += [_axis(c, label_of(c), "size") for c in _SIZES]
    return [axis for axis in axes if _is_there(trials, axis["column"])]


def metric_axes(trials: pd.DataFrame, metric: Metric, info: dict[str, Any]) -> list[dict[str, Any]]:
    """What may stand on the axis of the metric: the study's first.

    `validation` says whether a trial may be chosen by it.
    """
    own = [str(c) for c in trials if str(c).startswith(OWN)]
    better = info.get("own_metrics", {})
    axes = []
    for column in dict.fromkeys((metric.column, *_METRICS, *own)):
        if not _is_there(trials, column):
            continue
        name = column.removeprefix(OWN)
        percent = is_percent(name)
        # study.json says it of the numbers of validation
        said = better.get(name.replace("test_", "val_", 1), "higher" if percent else "lower")
        minimized = metric.minimized if column == metric.column else said == "lower"
        validation = column == metric.column or name.startswith(("val_", "best_val_"))
        axes.append({
            "column": column, "label": label_of(column), "minimized": minimized, "percent": percent,
            "validation": validation,
        })  # fmt: skip
    return axes


def _axis(column: str, label: str, kind: str, name: str | None = None) -> dict[str, Any]:
    return {"column": column, "label": label, "kind": kind, "name": name}


def _is_there(trials: pd.DataFrame, column: str) -> bool:
    return column in trials and bool(trials[column].notna().any())


def spending_curves(subject: ReportedStudy) -> dict[str, Any] | None:
    """Hypervolume against what was paid, and against what it would have cost without savings.

    - paid: what was trained for each trial;
    - unshared: all its epochs, also those that came from a store;
    - unstopped: a stopped trial as well to its end, at the least that it could have cost.

    None if the trials have no extent in cost and metric.
    """
    trials, metric, column = subject.trials, subject.metric, subject.cost.column
    paid_of = paid_columns()
    unit = column if column in paid_of else "param_epochs"
    named = trials.set_index("trial_id")
    logged = [name for name in ending_order(subject.folder / LOG_FILE) if name in named.index]
    order = [*logged, *(name for name in named.index if name not in set(logged))]
    rows = named.loc[order]
    outcomes = [
        (price, metric.value(value))
        if status == Status.COMPLETED and price > 0 and math.isfinite(value)
        else None
        for price, value, status in zip(
            rows.get(column, ()), rows.get(metric.column, ()), rows["status"], strict=True
        )
    ]
    bounds = bounds_of([outcome for outcome in outcomes if outcome])
    if bounds is None:
        return None
    nominal = rows[unit].astype(float)
    bound = _least(rows, unit)
    stopped = rows["status"] == Status.STOPPED
    whole = nominal.where(~(stopped & (bound > nominal)), bound)
    paid = rows[paid_of[unit]].astype(float)
    totals = {"paid": paid, "unshared": nominal, "unstopped": whole}
    curves = {n: spending(outcomes, cost.tolist(), bounds) for n, cost in totals.items()}
    return {
        "unit": label_of(unit),
        "ordered": bool(logged),
        "trials": order,
        "stopped": int(stopped.sum()),
        "bounds": asdict(bounds),
        "hypervolume": curves["paid"].hypervolume,
        **{name: curve.spent for name, curve in curves.items()},
    }


def _least(rows: pd.DataFrame, unit: str) -> pd.Series:
    """The least that each stopped trial could have cost to its end, as far as it is known."""
    unknown = pd.Series(math.nan, index=rows.index)
    known = rows.get(f"bound/{unit}", unknown).astype(float)
    if unit == "param_epochs" and "bound/ppe" in rows:
        fixed = rows.get("config/finetune_epochs", unknown).isna()  # others end when they do
        in_ppe = (rows["bound/ppe"].astype(float) * rows["config/epochs"]).where(fixed)
        return known.fillna(in_ppe)
    return known


def seed_attainment(trials: pd.DataFrame, metric: Metric, cost: StudyCost) -> dict[str, Any]:
    """Attainment over the seeds that every configuration of completed trials has."""
    columns = [cost.column, metric.column, "config/seed"]
    if not len(trials) or any(c not in trials for c in columns):
        return {"seeds": 0, "surfaces": {}}
    done = trials.loc[trials["status"] == Status.COMPLETED, columns].dropna()
    done.columns = pd.Index(["cost", "value", "seed"])
    found = attainment(
        done["cost"].tolist(), done["value"].tolist(), done["seed"].tolist(), metric.minimized
    )
    counts = done["seed"].value_counts()
    return {
        "seeds": len(counts),
        "balanced": counts.nunique() <= 1,
        "surfaces": {str(share): corners for share, corners in found.items()},
    }


def option_importance(
    trials: pd.DataFrame, info: dict[str, Any], metric: Metric, cost: StudyCost
) -> dict[str, Any]:
    """Importance of each searched option for the study's cost and metric, and how it was found."""
    columns = [f"config/{name}" for name in searched_options(info, trials)]
    done = trials[trials["status"] == Status.COMPLETED] if len(trials) else trials
    options = done[columns].rename(columns=lambda c: str(c).removeprefix("config/"))
    found = {}
    for what, column in (("cost", cost.column), ("metric", metric.column)):
        importance = importances(options, done[column].tolist()) if column in done else None
        found[what] = asdict(importance) if importance else None
    return {
        "trials": len(done),
        "least": LEAST_TRIALS,
        "library": f"scikit-learn {version('scikit-learn')}",
        **found,
    }
