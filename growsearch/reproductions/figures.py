"""The figure of a definition, in matplotlib."""

from functools import partial
from statistics import fmean, stdev

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from growsearch.reproductions.comparison import ReproductionResult
from growsearch.reproductions.drawing import Against, Curves, Points
from growsearch.reproductions.outcomes import QUANTITIES, Outcomes
from growsearch.study.equal_cost import epoch_seconds
from growsearch.study.figures import ACCENT, POINT
from growsearch.study.pareto import is_pareto_optimal
from growsearch.trial.status import Status

_COLORS = (ACCENT, "#b45309", "#2563eb", "#475569", "#9333ea", "#be123c")


def draw(comparison: ReproductionResult, study: pd.DataFrame) -> Figure:
    """One panel for each of our groups: the mean over seeds and one standard deviation.

    `study` is the table that `comparison` comes from, a row an epoch.
    """
    groups, drawing = comparison.found.groups, comparison.definition.drawing
    figure = Figure(figsize=(1.5 + 5.5 * len(groups), 4.8), layout="constrained")
    panels = figure.subplots(1, len(groups), squeeze=False)[0]
    for axes, (group, own) in zip(panels, groups.items(), strict=True):
        axes.grid(color="#e2e8f0", linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
        title = f"{comparison.definition.place}, {comparison.scale_name}: {group}"
        axes.set_title(title, loc="left", fontsize=11)
        match drawing:
            case Points():
                _points(axes, own, drawing, comparison, group)
            case Against():
                _against(axes, own, drawing)
            case Curves():
                _curves(axes, own, study)
    return figure


def _points(
    axes: Axes, own: Outcomes, drawing: Points, comparison: ReproductionResult, group: str
) -> None:
    quantity, rows = drawing.quantity, list(own.rows)
    for place, row in enumerate(rows):
        _mark(axes, [place], own.values(row, quantity), ACCENT, "ours" if not place else None)
    numbers = comparison.definition.numbers
    for name, color in zip([group] if group in numbers else numbers, _COLORS[1:], strict=False):
        known = [
            (place, number[0] if isinstance(number, tuple) else number)
            for place, row in enumerate(rows)
            if (number := numbers[name].get(row, {}).get(quantity)) is not None
        ]
        if known and all(isinstance(value, float | int) for _, value in known):
            axes.scatter(*zip(*known, strict=True), marker="x", color=color, label=f"paper, {name}")
    axes.set_xticks(range(len(rows)), rows, rotation=30, ha="right", fontsize=8)
    axes.set_ylabel(QUANTITIES[quantity].label)
    axes.legend(frameon=False, fontsize=8)


def _against(axes: Axes, own: Outcomes, drawing: Against) -> None:
    places = {
        row: (xs, ys)
        for row in own.rows
        if (xs := own.values(row, drawing.x)) and (ys := own.values(row, drawing.quantity))
    }
    families: dict[str, list[str]] = {}
    for row in places:
        family = row.rpartition(" ")[0] if drawing.joined else row.partition(" ")[0]
        families.setdefault(family or row, []).append(row)
    means = {row: (fmean(xs), fmean(ys)) for row, (xs, ys) in places.items()}
    front = _front(means) if drawing.starred else set()
    for (family, rows), color in zip(families.items(), _COLORS * 9, strict=False):
        rows = sorted(rows, key=means.__getitem__)
        if drawing.joined and len(rows) > 1:
            axes.plot(*zip(*(means[row] for row in rows), strict=True), color=color, linewidth=1)
        for row in rows:
            first = family if len(rows) > 1 else row
            label = first if row == rows[0] else None
            _mark(axes, places[row][0], places[row][1], color, label, star=row in front)
    for quantity, axis in ((drawing.x, axes.xaxis), (drawing.quantity, axes.yaxis)):
        unit = QUANTITIES[quantity].unit
        axis.set_label_text(QUANTITIES[quantity].label)
        axis.set_major_formatter(FuncFormatter(partial(_in_units, unit)))
    axes.legend(frameon=False, fontsize=8)


def _in_units(unit: float, value: float, place: int | None) -> str:
    return f"{value / unit:g}"


def _front(means: dict[str, tuple[float, float]]) -> set[str]:
    table = pd.DataFrame(means.values(), columns=["cost", "value"]).assign(status=Status.COMPLETED)
    optimal = is_pareto_optimal(table, "cost", "value", minimized=False)
    return {row for row, is_optimal in zip(means, optimal, strict=True) if is_optimal}


def _mark(
    axes: Axes, xs: list[int] | list[float], ys: list[float], color: str, label: str | None,
    star: bool = False,
) -> None:  # fmt: skip
    """The mean of a row's points, with their deviations; nothing if there are none."""
    if not ys:
        return
    x, y = fmean(xs), fmean(ys)
    axes.errorbar(
        x, y, xerr=stdev(xs) if len(xs) > 1 else None, yerr=stdev(ys) if len(ys) > 1 else None,
        color=color, capsize=2, linewidth=0.8, zorder=2,
    )  # fmt: skip
    marker, size = ("*", 140) if star else ("o", 40)
    axes.scatter([x], [y], marker=marker, s=size, color=color, label=label, **POINT)


def _curves(axes: Axes, own: Outcomes, study: pd.DataFrame) -> None:
    timed = study.assign(spent=epoch_seconds(study).groupby(study["trial_id"]).cumsum())
    for row, color in zip(own.rows, _COLORS, strict=False):
        trials = timed[timed["trial_id"].isin(own.trial_ids[row])]
        if trials.empty:
            continue
        means = trials.groupby("epoch")[["spent", "val_accuracy", "train_accuracy"]].mean()
        spent = means["spent"].to_numpy()
        for split, style in (("val", "-"), ("train", ":")):
            error = 100 - means[f"{split}_accuracy"].to_numpy()
            name = "validation" if split == "val" else "training"
            axes.plot(spent, error, style, color=color, linewidth=1.3, label=f"{row}, {name}")
    if axes.lines:
        axes.set_yscale("log" if _all_positive(axes) else "linear")
    axes.set_xlabel(QUANTITIES["seconds"].label)
    axes.set_ylabel("error, %")
    axes.legend(frameon=False, fontsize=8)


def _all_positive(axes: Axes) -> bool:
    return all((np.asarray(line.get_ydata(), dtype=float) > 0).all() for line in axes.lines)
