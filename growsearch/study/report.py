"""The report of a study: one self-contained HTML page, and the front as a picture and a table."""

import json
import math
import re
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from growsearch.machine.files import because, replacing, write_whole
from growsearch.stopping.cost import Metric
from growsearch.study.best import StudyCost, study_cost, study_metric
from growsearch.study.comparisons import found_networks
from growsearch.study.epoch_tree import EpochCounts, count_epochs, epoch_tree
from growsearch.study.figures import LABELS, front_figure
from growsearch.study.outcomes import audit, count_outcomes
from growsearch.study.pareto import is_pareto_optimal, pareto_front
from growsearch.study.results import read_info, read_study, schema, summarize
from growsearch.trial.components import components
from growsearch.trial.errors import InputError

_CURVES = (
    "epoch", "architecture", "phase", "val_accuracy", "test_accuracy", "val_loss", "train_loss",
    "lipschitz", "lr",
)  # fmt: skip


@dataclass(frozen=True)
class Report:
    """The files of a report, and the tables that it shows."""

    page: Path
    picture: Path
    table: Path
    front: pd.DataFrame
    found: pd.DataFrame
    """The rows of `comparisons.found_networks` whose network was also trained from scratch."""
    epochs: EpochCounts
    searched: list[str]
    """The trial fields that the search space varies."""
    metric: Metric
    """What the study takes for accuracy."""
    cost: StudyCost


def write_report(folder: str | Path, metric_name: str | None = None) -> Report:
    """Write report.html, front.png and front.csv into the study `folder`, replacing older ones.

    Trials are compared by the first cost of their search, and by the metric of that name, by
    default the study's. Raises InputError if
    `folder` is not a study, has no epochs yet, or has no such metric.
    """
    folder = Path(folder)
    info, study = read_info(folder), read_study(folder)
    trials = summarize(study)
    metric = study_metric(info, trials, metric_name)
    cost = study_cost(info, trials)
    front = pareto_front(trials, cost.column, metric.column, metric.minimized)
    searched = list(info["searched"])
    found = found_networks(trials).dropna(subset="val_delta")
    report = Report(
        folder / "report.html", folder / "front.png", folder / "front.csv", front, found,
        count_epochs(study), searched, metric, cost,
    )  # fmt: skip
    figure = front_figure(
        trials, cost.column, metric.column, _title(folder, trials), metric.minimized
    )
    trials = trials.merge(found[["trial_id", "val_delta"]], on="trial_id", how="left")
    page = _page(folder, info, study, trials, report)
    try:
        with replacing(report.table) as unfinished:
            front.to_csv(unfinished, index=False)
        with replacing(report.picture) as unfinished:
            figure.savefig(unfinished, dpi=150, format="png")
        write_whole(report.page, page)
    except OSError as error:
        raise InputError(
            f"the report cannot be written into {str(folder)!r} ({because(error)}); make room or "
            "copy the study to where you can write"
        ) from error
    return report


def _title(folder: Path, trials: pd.DataFrame) -> str:
    name = folder.resolve().name
    tasks, networks, datasets = (
        ", ".join(sorted(trials[f"config/{kind}"].dropna().unique()))
        for kind in ("task", "network", "dataset")
    )
    if not networks:
        return f"{name}: {tasks} on {datasets}" if datasets else f"{name}: {tasks}"
    # The paper's split validates on test images, so the title must name it.
    split = ", the paper's split" if (trials["config/split"] != "clean").any() else ""
    return f"{folder.resolve().name}: {networks} on {datasets}{split}"


def _page(
    folder: Path, info: dict[str, Any], study: pd.DataFrame, trials: pd.DataFrame, report: Report
) -> str:
    from plotly.offline import get_plotlyjs

    metric, cost = report.metric, report.cost
    title = _title(folder, trials)
    data = {
        "title": title,
        "info": info,
        "searched": report.searched,
        "epochs": len(study),
        "seconds": study["seconds"].sum(),
        "trials": _trials(study, trials, metric, cost),
        "metric": {
            "column": metric.column,
            "minimized": metric.minimized,
            "percent": "accuracy" in metric.reads,
            "label": LABELS.get(metric.column, metric.title),
            "name": metric.title,
        },
        "cost": {
            "column": cost.column,
            "name": cost.name.replace("_", " "),
            "label": LABELS.get(cost.column, cost.name),
        },
        "counts": asdict(count_epochs(study)),
        "outcomes": count_outcomes(trials),
        "audit": _audit(info, trials, metric),
        "tree": epoch_tree(study).to_dict("records"),
    }
    # "<" is escaped so that no text in the data can end the script element.
    text = json.dumps(_plain(data), separators=(",", ":")).replace("<", "\\u003c")
    template = files("growsearch.study").joinpath("report.html").read_text(encoding="utf-8")
    filled = {"title": _escaped(title), "plotly": get_plotlyjs(), "data": text}
    # in one pass: a study may be named like a place of the template
    return re.sub(r"\{\{(title|plotly|data)\}\}", lambda place: filled[place[1]], template)


def _audit(
    info: dict[str, Any], trials: pd.DataFrame, metric: Metric
) -> dict[str, int] | None:  # fmt: skip
    """The audit's numbers; None if no trial was judged, or by the metric of a plugin."""
    scheduler: Any = components("scheduler").get(info.get("settings", {}).get("scheduler"))
    judges = scheduler is not None and scheduler.judges
    if not judges and trials["dominated_by"].isna().all():
        return None
    try:
        return asdict(audit(trials, metric))
    except InputError:  # a report never loads a study's plugins
        return None


def _trials(
    study: pd.DataFrame, trials: pd.DataFrame, metric: Metric, cost: StudyCost
) -> list[dict[Any, Any]]:
    optimal = is_pareto_optimal(trials, cost.column, metric.column, metric.minimized)
    shown = dict.fromkeys((*_CURVES, metric.column))
    curves = dict(iter(study.groupby("trial_id")))
    scalars = trials.drop(columns=[f.name for f in schema() if pa.types.is_list(f.type)])
    return [
        trial
        | {
            "optimal": bool(is_optimal),
            "curve": {name: curves[trial["trial_id"]][name].tolist() for name in shown},
        }
        for trial, is_optimal in zip(scalars.to_dict("records"), optimal, strict=True)
    ]


def _plain(value: Any) -> Any:
    """`value` in JSON's types: NaN and infinity become null; floats keep seven digits."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if value is None or value is pd.NA:
        return None
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    return value


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
