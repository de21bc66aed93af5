"""Figures of a study, in matplotlib: for notebooks and papers."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from growsearch.pareto import is_pareto_optimal

ACCENT, MUTED = "#0f766e", "#94a3b8"
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
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    style: dict[str, Any] = {"edgecolors": "white", "linewidths": 0.8, "zorder": 3}
    axes.scatter(others[cost], others[accuracy], s=36, color=MUTED, label="dominated", **style)
    axes.plot(front[cost], front[accuracy], color=ACCENT, linewidth=1.5, drawstyle="steps-post")
    axes.scatter(
        front[cost], front[accuracy], s=110, marker="*", color=ACCENT, label="Pareto-optimal",
        **style,
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
    axes.margins(0.12)
    axes.grid(color="#e2e8f0", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    axes.set_title(title, loc="left", fontsize=11)
    return figure
