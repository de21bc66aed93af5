"""Figures of a study, in matplotlib, for notebooks and papers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import EngFormatter, MaxNLocator
from matplotlib.transforms import BboxBase

from growsearch.stopping.cost import costs, lower_is_better, metrics
from growsearch.study.drawn import without_math
from growsearch.study.pareto import is_pareto_optimal
from growsearch.trial.history import OWN, in_words
from growsearch.trial.status import Status

if TYPE_CHECKING:
    from growsearch.study.landscape import Trajectory  # loads torch

ACCENT, MUTED = "#0f766e", "#94a3b8"
SCHEDULE_COLORS = {
    "vanilla": "#475569", "sampled": MUTED, "hand-tuned": "#b45309", "lipgrow": ACCENT
}  # fmt: skip
OTHER_COLOR = "#7c3aed"
"""The colour of a policy that LipGrow's paper does not have."""
POINT: dict[str, Any] = {"edgecolors": "white", "linewidths": 0.8, "zorder": 3}
_CORNER = [(-1, 1), (1, 1), (-1, -1), (-1, 1)]
"""A triangular marker with its right angle at the upper left."""
_LABELS = {
    "parameters": "parameters at the end",
    "macs": "multiply-accumulates of the final network",
    "val_accuracy": "validation accuracy (%)",
    "test_accuracy": "test accuracy (%)",
    "best_val_accuracy": "best validation accuracy (%)",
    "val_loss": "validation loss",
    "best_val_loss": "best validation loss",
}


def label_of(column: str) -> str:
    """What axes call a column of results, also if the plugin that has it is not loaded."""
    known = {cost.result(): cost.title or name.replace("_", " ") for name, cost in costs().items()}
    known |= {metric.column: metric.title for metric in metrics().values()}
    name = column.removeprefix("cost/").removeprefix(OWN)
    return (known | _LABELS).get(column, name.replace("_", " "))


def front_figure(
    trials: pd.DataFrame, cost: str = "ppe", accuracy: str = "val_accuracy", title: str = "",
    minimized: bool | None = None,
) -> Figure:  # fmt: skip
    """Accuracy against cost of `summarize`'s trials; a line joins the front, labels name growths.

    A stopped trial is drawn at its bounds if the table has its bounds of `cost` and `accuracy`:
    it could only have ended below and to the right of this point. A paused trial is drawn at its
    last epoch. The completed trials set the limits of the axes; a hollow mark at the edge stands
    for a point outside. `minimized` is that of `is_pareto_optimal`. Raises InputError if the table
    lacks a column.
    """
    if minimized is None:
        minimized = lower_is_better(accuracy)
    optimal = is_pareto_optimal(trials, cost, accuracy, minimized)
    front = trials[optimal].sort_values(cost)
    others = trials[~optimal & (trials["status"] == Status.COMPLETED)]
    figure, axes = _figure(title)
    axes.scatter(others[cost], others[accuracy], s=36, color=MUTED, label="dominated", **POINT)
    axes.plot(front[cost], front[accuracy], color=ACCENT, linewidth=1.5, drawstyle="steps-post")
    axes.scatter(
        front[cost], front[accuracy], s=110, marker="*", color=ACCENT, label="Pareto-optimal",
        **POINT,
    )  # fmt: skip
    labels = [
        axes.annotate(
            trial["growth_epochs"] and f"grew after {in_words(trial['growth_epochs'].split())}",
            (trial[cost], trial[accuracy]), xytext=(7, -12), textcoords="offset points",
            fontsize=8, color="#475569",
        )
        for _, trial in front.drop_duplicates([cost, accuracy]).iterrows()
    ]  # fmt: skip
    stopped = trials.reindex(columns=[f"bound/{cost}", f"bound/{accuracy}"])
    paused = trials[[cost, accuracy]]
    _scatter_uncompleted(
        axes, stopped[trials["status"] == Status.STOPPED], label="stopped, at its bounds",
        marker=[(x, -y) for x, y in _CORNER] if minimized else _CORNER,
        color="#b45309",
    )  # fmt: skip
    _scatter_uncompleted(
        axes, paused[trials["status"] == Status.PAUSED], label="paused", marker="s", color="#2563eb"
    )
    axes.set_xlabel(without_math(label_of(cost)))
    axes.set_ylabel(without_math(label_of(accuracy)))
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    figure.legend(frameon=False, loc="outside lower center", ncols=4)
    _part(figure, labels)
    return figure


def _part(figure: Figure, labels: list[Annotation]) -> None:
    """Moves labels down until none covers another."""
    figure.draw_without_rendering()
    placed: list[BboxBase] = []
    for label in (label for label in labels if label.get_text()):
        box = label.get_window_extent()
        while any(box.overlaps(other) for other in placed):
            x, y = label.xyann
            label.xyann = (x, y - 10)
            box = label.get_window_extent()
        placed.append(box)


def _scatter_uncompleted(
    axes: Axes, table: pd.DataFrame, *, marker: Any, color: str, label: str
) -> None:
    """Adds the points of `table` without changing the limits; points outside are hollow marks."""
    points = table.dropna().to_numpy(dtype=float)
    if not len(points):
        return
    limits = np.array([axes.get_xlim(), axes.get_ylim()])
    shown = np.clip(points, *limits.T)
    beyond = (shown != points).any(axis=1)
    order = np.argsort(beyond, kind="stable")  # the legend shows the mark of the first point
    (x, y), hollow = shown[order].T, beyond[order]
    axes.scatter(
        x, y, s=46, marker=marker, label=label, clip_on=False, zorder=2,
        facecolors=["white" if h else color for h in hollow],
        edgecolors=[color if h else "white" for h in hollow],
    )  # fmt: skip
    axes.set_xlim(*limits[0])
    axes.set_ylim(*limits[1])


def growth_timing_figure(table: pd.DataFrame, title: str = "") -> Figure:
    """Final error over the first growth epoch, from the table of `comparisons.growth_timing`.

    The dashed lines are the smallest error of the grid and LipGrow's error. The band is the mean of
    LipGrow's first growth epochs and one standard deviation on each side (LipGrow, Figure 4).
    """
    grid = table[table["policy"] == "fixed"]
    own = table[table["policy"] == "lipgrow"].iloc[0]
    figure, axes = _figure(title)
    axes.errorbar(
        grid["first_growth"], grid["error"], yerr=grid["error_std"].fillna(0), color=MUTED,
        marker="o", capsize=3, linewidth=1.2, label="growth epochs on a grid",
    )  # fmt: skip
    axes.axhline(grid["error"].min(), color=MUTED, linestyle="--", linewidth=1)
    axes.axhline(own["error"], color=ACCENT, linestyle="--", linewidth=1)
    axes.axvline(own["first_growth"], color=ACCENT, linewidth=1.5, label="LipGrow's choice")
    spread = own["first_growth_std"]
    if spread > 0:
        axes.axvspan(
            own["first_growth"] - spread, own["first_growth"] + spread, color=ACCENT, alpha=0.15
        )
    axes.set_xlabel("first growth after epoch")
    axes.set_ylabel("final validation error (%)")
    figure.legend(frameon=False, loc="outside right upper")
    return figure


def schedules_figure(table: pd.DataFrame, title: str = "") -> Figure:
    """Best validation accuracy against PPE, from the table of `comparisons.growth_schedules`.

    Pareto-optimal schedules are stars (LipGrow, Figure 5). Bars are deviations over seeds.
    """
    figure, axes = _figure(title)
    axes.errorbar(
        table["ppe"], table["best_val_accuracy"], table["best_val_accuracy_std"].fillna(0),
        table["ppe_std"].fillna(0), fmt="none", ecolor=MUTED, elinewidth=0.8, zorder=2,
    )  # fmt: skip
    for schedule in dict.fromkeys([*SCHEDULE_COLORS, *table["schedule"]]):
        color = SCHEDULE_COLORS.get(schedule, OTHER_COLOR)
        for optimal, marker, size in ((False, "o", 40), (True, "*", 130)):
            part = table[(table["schedule"] == schedule) & (table["pareto_optimal"] == optimal)]
            label = f"{without_math(schedule)}{', Pareto-optimal' if optimal else ''}"
            axes.scatter(
                part["ppe"], part["best_val_accuracy"], s=size, marker=marker, color=color,
                label=label if len(part) else None, **POINT,
            )  # fmt: skip
    axes.set_xlabel(label_of("ppe"))
    axes.set_ylabel(label_of("best_val_accuracy"))
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    figure.legend(frameon=False, loc="outside right upper")
    return figure


def trajectory_figure(trajectory: "Trajectory", contours: pd.DataFrame, title: str = "") -> Figure:
    """A path from `landscape.trajectory` over `contours`, the training loss on its plane.

    Each point is a saved state; a diamond is the first state after a growth (AutoGrow, Figures 2
    and 3). The contours do not show the loss of a state itself: the state lies outside the plane,
    and its projection is drawn.
    """
    table, shares = trajectory.table, trajectory.explained_variance
    grown, first, last = table[table["grew"]], table.iloc[0], table.iloc[-1]
    figure, axes = _figure(title)
    axes.grid(visible=False)
    _filled_contours(axes, contours, _levels(contours), "Greys", MUTED, most=0.4)
    axes.plot(table["pc1"], table["pc2"], color=ACCENT, linewidth=1.5)
    axes.scatter(table["pc1"], table["pc2"], s=30, color=ACCENT, label="saved state", **POINT)
    axes.scatter(
        grown["pc1"], grown["pc2"], s=45, marker="D", color="#b45309",
        label="has grown" if len(grown) else None, **POINT,
    )  # fmt: skip
    axes.scatter(
        last["pc1"], last["pc2"], s=190, marker="*", color="#475569", label="final network", **POINT
    )
    for state in (first, last):
        away = 9 if state["pc2"] > table["pc2"].mean() else -15  # keeps most labels off the path
        axes.annotate(
            f"epoch {state['epoch']}, {state['architecture']}", (state["pc1"], state["pc2"]),
            xytext=(0, away), textcoords="offset points", ha="center", fontsize=8, color="#1e293b",
        )  # fmt: skip
    axes.set_xlabel(f"first component ({100 * shares[0]:.1f} % of variance)")
    axes.set_ylabel(f"second component ({100 * shares[1]:.1f} % of variance)")
    figure.legend(frameon=False, loc="outside lower center", ncols=3)
    return figure


def loss_surface_figure(surfaces: Mapping[str, pd.DataFrame]) -> Figure:
    """Tables of `landscape.loss_surface`, by title, side by side with one scale of the loss.

    The scale is logarithmic if the losses span more than a factor of ten. The cross marks the final
    network (AutoGrow, Figure 5).
    """
    figure = Figure(figsize=(1.2 + 3.6 * len(surfaces), 4), layout="constrained")
    all_axes = figure.subplots(1, len(surfaces), sharex=True, sharey=True, squeeze=False)[0]
    levels = _levels(pd.concat(surfaces.values()))
    for axes, (title, table) in zip(all_axes, surfaces.items(), strict=True):
        _filled_contours(axes, table, levels, "viridis", "white", bar=axes is all_axes[-1])
        axes.plot(0, 0, "+", color="white", markersize=9)
        axes.set_aspect("equal")
        axes.set_title(without_math(title), loc="left", fontsize=11)
        axes.set_xlabel("first direction")
    all_axes[0].set_ylabel("second direction (1 is a filter's norm)")
    return figure


def _filled_contours(
    axes: Axes, table: pd.DataFrame, levels: np.ndarray, shades: str, lines: str, most: float = 1,
    bar: bool = True,
) -> None:  # fmt: skip
    """Draws a table of `Plane.losses`; colors come from the lower share `most` of `shades`."""
    losses = table.pivot(index="y", columns="x", values="loss")
    grid = losses.columns.to_numpy(), losses.index.to_numpy(), losses.to_numpy()
    colors = colormaps[shades](np.linspace(0, most, len(levels) - 1))
    filled = axes.contourf(*grid, levels, colors=colors, zorder=0)
    axes.contour(*grid, levels, colors=lines, linewidths=0.6, zorder=0)
    if bar:
        axes.figure.colorbar(filled, ax=axes, ticks=levels, format="%g", label="training loss")


def _levels(table: pd.DataFrame) -> np.ndarray:
    """Contour levels: round numbers from below the smallest finite loss to above the largest."""
    losses = table["loss"][np.isfinite(table["loss"])]
    low, high = losses.min(), losses.max()
    if not 0 < 10 * low < high:
        return np.asarray(MaxNLocator(12).tick_values(low, high))
    decades = 10 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    levels = np.outer(decades, (1, 2, 5)).ravel()
    return levels[np.searchsorted(levels, low, "right") - 1 : np.searchsorted(levels, high) + 1]


def _figure(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.margins(0.12)
    plain(axes, title)
    return figure, axes


def plain(axes: Axes, title: str) -> None:
    """The look of all diagrams: a pale grid, two axes, the title at the left."""
    axes.grid(color="#e2e8f0", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(without_math(title), loc="left", fontsize=11)
