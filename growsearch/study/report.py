"""The report of a study: one self-contained HTML page, and the front as a picture and a table."""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from growsearch.machine.files import replacing, write_whole
from growsearch.stopping.cost import Metric
from growsearch.study.best import StudyCost, noted_metric, study_cost
from growsearch.study.budget_end import all_statuses, left_by_budget
from growsearch.study.comparisons import found_networks, has_twins
from growsearch.study.csv_file import write_csv
from growsearch.study.drawn import drawn
from growsearch.study.epoch_tree import EpochCounts, count_epochs
from growsearch.study.figures import front_figure
from growsearch.study.folder import LOG_FILE, REPORT_FILES, is_empty, read_info
from growsearch.study.frames import to_frame
from growsearch.study.outcomes import audit
from growsearch.study.page import fill_page
from growsearch.study.page_data import ReportedStudy, page_data, searched_options
from growsearch.study.pareto import is_pareto_optimal, pareto_front
from growsearch.study.plugins import plugin_files
from growsearch.study.results import read_undamaged
from growsearch.study.retraining import arithmetic, recorded_options, train_command
from growsearch.study.schema import schema
from growsearch.study.search_log import given_in_log
from growsearch.study.summary import summarize
from growsearch.trial.components import components
from growsearch.trial.errors import InputError, because

_LOG = logging.getLogger("growsearch")
_MOST_COMMANDS = 1000
"""The page of a study with more trials has the commands of the front's alone, to stay small."""


@dataclass(frozen=True)
class WrittenReport:
    """The files of a report, and the tables that it shows."""

    page: Path
    picture: Path | None
    """None if it cannot be drawn."""
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


def write_report(folder: str | Path, metric_name: str | None = None) -> WrittenReport:
    """Write report.html, front.png and front.csv into the study `folder`, replacing older ones.

    Trials are compared by the first cost of their search, and by the metric of that name, by
    default the study's. A study without an epoch has a report that says so. Raises InputError if
    `folder` is not a study, all its tables are damaged, or it has no such metric.
    """
    folder = Path(folder)
    subject = study_subject(folder, metric_name)
    for note in subject.notes:
        _LOG.warning(note)
    trials, metric, cost = subject.trials, subject.metric, subject.cost
    front = pareto_front(trials, cost.column, metric.column, metric.minimized)
    html, png, csv = (folder / name for name in REPORT_FILES)
    picture = drawn(
        lambda: front_figure(trials, cost.column, metric.column, subject.title, metric.minimized),
        dpi=150, format="png",
    )  # fmt: skip
    report = WrittenReport(
        html, png if picture else None, csv, front,
        subject.found, count_epochs(subject.study), searched_options(subject.info, trials), metric,
        cost,
    )  # fmt: skip
    page = fill_page(subject.title, page_data(subject))
    try:
        with replacing(report.table) as unfinished:
            write_csv(front, unfinished)
        if picture is None:
            png.unlink(missing_ok=True)  # an older one shows other trials
        else:
            with replacing(png) as unfinished:
                unfinished.write_bytes(picture)
        write_whole(report.page, page)
    except OSError as error:
        raise InputError(
            f"the report cannot be written into {str(folder)!r} ({because(error)}); make room or "
            "copy the study to where you can write"
        ) from error
    return report


def study_subject(folder: Path, metric_name: str | None = None) -> ReportedStudy:
    """What the report of the study in `folder` is about. Raises InputError as `write_report`."""
    info = read_info(folder)
    table, damaged = (schema().empty_table(), {}) if is_empty(folder) else read_undamaged(folder)
    study = to_frame(table)
    del table
    trials = summarize(study)
    metric, notes = noted_metric(info, trials, metric_name)
    cost = study_cost(info, trials) if len(study) else StudyCost("ppe", "ppe")
    grown = trials if has_twins(trials) else trials.iloc[:0]
    found = found_networks(grown).dropna(subset="val_delta")
    trials = trials.merge(found[["trial_id", "val_delta"]], on="trial_id", how="left")
    return ReportedStudy(
        folder, _title(folder, trials), info, study, trials, metric, cost, found,
        audit=_audit(info, trials, metric), commands=_commands(folder, info, trials, metric, cost),
        notes=(*(_damage(name, why) for name, why in damaged.items()), *notes),
        left=left_by_budget(info, all_statuses(folder, trials), trials), asked=metric_name,
    )  # fmt: skip


def _damage(path: str, why: str) -> str:
    return f"{path} is damaged and left out ({why}). Restore it from a copy."


def _commands(
    folder: Path, info: dict[str, Any], trials: pd.DataFrame, metric: Metric, cost: StudyCost
) -> dict[str, str]:
    """By trial, the command that trains it again: with what its search gave, or all its options.

    It needs no plugin, and no configuration is made, which would take milliseconds for each trial.
    """
    try:
        plugins = plugin_files(folder, info)
    except InputError:  # study.json is damaged there; the trials can be shown all the same
        plugins = []
    given, found = given_in_log(folder / LOG_FILE), {}
    if len(trials) > _MOST_COMMANDS:
        trials = trials[is_pareto_optimal(trials, cost.column, metric.column, metric.minimized)]
    for row in trials.to_dict("records"):
        known = {f"config/{n}": value for n, value in given.get(row["trial_id"], {}).items()}
        options = recorded_options(known or row)
        found[row["trial_id"]] = train_command({**options, **arithmetic(row)}, plugins)
    return found


def _title(folder: Path, trials: pd.DataFrame) -> str:
    name = folder.resolve().name
    tasks, networks, datasets = (
        ", ".join(sorted(trials[f"config/{kind}"].dropna().unique()))
        for kind in ("task", "network", "dataset")
    )
    if not networks:
        return f"{name}: {tasks} on {datasets}" if datasets else f"{name}: {tasks}"
    # The paper's split validates on test images, so the title must name it.
    split = ", the paper's split" if (trials["config/split"].dropna() != "clean").any() else ""
    return f"{folder.resolve().name}: {networks} on {datasets}{split}"


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
