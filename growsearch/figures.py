"""Figures of a study, in matplotlib: for notebooks and papers."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from growsearch.pareto import is_pareto_optimal

ACCENT, MUTED = "#0f766e", "#94a3b8"
SCHEDULE_COLORS = {
    "vanilla": "#475569", "sampled": MUTED, "hand-tuned": "#b45309", "lipgrow": ACCENT
}  # fmt: skip
POINT: dict[str, Any] = {"edgecolors": "white", "linewidths": 0.8, "zorder": 3}
LABELS = {
    "ppe": "PPE (parameters per epoch)",
    "param_epochs": "parameter-epochs",
    "seconds": "seconds",
    "val_accuracy": "validation accuracy (%)",
    "test_accuracy": "test accuracy (%)",
    "best_val_accuracy": "best validation accuracy (%)",
}


def front_figure(
    trials: pd.DataFrame, cost: str = "ppe", accuracy: str = "val_accuracy", title: str = ""
) -> Figure:
    """Accuracy against cost of `summarize`'s trials, the front joined and labelled with depths."""
    optimal = is_pareto_optimal(trials, cost, accuracy)
    front = trials[optimal].sort_values(cost)
    others = trials[~optimal & (trials["status"] == "completed")]
    figure, axes = _figure(title)
    axes.scatter(others[cost], others[accuracy], s=36, color=MUTED, label="dominated", **POINT)
    axes.plot(front[cost], front[accuracy], color=ACCENT, linewidth=1.5, drawstyle="steps-post")
    axes.scatter(
        front[cost], front[accuracy], s=110, marker="*", color=ACCENT, label="Pareto-optimal",
        **POINT,
    )  # fmt: skip
    for _, trial in front.drop_duplicates([cost, accuracy]).iterrows():
        axes.annotate(
            trial["growth_epochs"] and f"grew after {trial['growth_epochs'].replace(' ', ', ')}",
            (trial[cost], trial[accuracy]), xytext=(7, -12), textcoords="offset points",
            fontsize=8, color="#475569",
        )  # fmt: skip
    axes.set_xlabel(LABELS.get(cost, cost))
    axes.set_ylabel(LABELS.get(accuracy, accuracy))
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.legend(frameon=False, loc="lower right")
    return figure


def growth_timing_figure(table: pd.DataFrame, title: str = "") -> Figure:
    """Final error over the first growth epoch, from `comparisons.growth_timing`'s table.

    Dashed lines are the smallest error of the grid and LipGrow's; the band is where LipGrow grew
    first, mean and one standard deviation (LipGrow, Figure 4).
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
    """Best validation accuracy against PPE, from `comparisons.schedules`'s table.

    Pareto-optimal schedules are stars (LipGrow, Figure 5).
    """
    figure, axes = _figure(title)
    for schedule, color in SCHEDULE_COLORS.items():
        for optimal, marker, size in ((False, "o", 40), (True, "*", 130)):
            part = table[(table["schedule"] == schedule) & (table["pareto_optimal"] == optimal)]
            label = f"{schedule}{', Pareto-optimal' if optimal else ''}"
            axes.scatter(
                part["ppe"], part["best_val_accuracy"], s=size, marker=marker, color=color,
                label=label if len(part) else None, **POINT,
            )  # fmt: skip
    axes.set_xlabel(LABELS["ppe"])
    axes.set_ylabel(LABELS["best_val_accuracy"])
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    figure.legend(frameon=False, loc="outside right upper")
    return figure


def _figure(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.margins(0.12)
    axes.grid(color="#e2e8f0", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, loc="left", fontsize=11)
    return figure, axes
