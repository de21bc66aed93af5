"""The picture of a comparison: fronts, and hypervolume against what was paid."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from growsearch.comparing.found import Comparison
from growsearch.stopping.cost import costs, metrics
from growsearch.study.drawn import without_math
from growsearch.study.figures import POINT, label_of
from growsearch.study.pareto import is_pareto_optimal

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""The colours of Okabe and Ito, which colour-blind people tell apart."""
MARKERS = ("o", "s", "^", "D", "v", "P")


def comparison_figure(comparison: Comparison) -> Figure:
    """On the left each study's trials and its front; on the right its hypervolume.

    The hypervolume is a share of the joint front's, against what the study had paid.
    """
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    fronts, progress = figure.subplots(1, 2)
    for axes in (fronts, progress):
        axes.grid(color="#e2e8f0", linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    for number, study in enumerate(comparison.studies):
        color, marker = COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]
        own = comparison.points[comparison.points["study"] == study.study]
        optimal = is_pareto_optimal(own, "cost", "metric", comparison.minimized)
        _front(fronts, own, optimal, color, marker, without_math(study.study))
        curve = [(0.0, 0.0), *comparison.progress[study.study]]
        _progress(progress, [*curve, (study.paid, curve[-1][1])], color)
    fronts.set_xlabel(_label(comparison.cost))
    fronts.set_ylabel(_label(comparison.metric))
    fronts.set_title("trials, and the front of each study", loc="left", fontsize=11)
    progress.set_xlabel(f"paid {_label(comparison.unit)}")
    progress.set_ylabel("hypervolume, % of the joint front's")
    progress.set_title("what was paid for it", loc="left", fontsize=11)
    figure.legend(frameon=False, loc="outside lower center", ncols=4)
    return figure


def _label(name: str) -> str:
    """What an axis calls the cost or metric of this name."""
    columns = {known: cost.result() for known, cost in costs().items()}
    columns |= {known: metric.column for known, metric in metrics().items()}
    return without_math(label_of(columns.get(name, name)))


def _front(
    axes: Axes, own: pd.DataFrame, optimal: "pd.Series[bool]", color: str, marker: str, label: str
) -> None:
    rest, front = own[~optimal], own[optimal].sort_values("cost")
    axes.scatter(rest["cost"], rest["metric"], s=14, marker=marker, color=color, alpha=0.35)
    axes.plot(front["cost"], front["metric"], color=color, linewidth=1.5, drawstyle="steps-post")
    axes.scatter(
        front["cost"], front["metric"], s=48, marker=marker, color=color, label=label, **POINT
    )


def _progress(axes: Axes, curve: Sequence[tuple[float, float]], color: str) -> None:
    paid, shares = zip(*curve, strict=True)
    percent = [100 * share for share in shares]
    axes.plot(paid, percent, color=color, linewidth=1.6, drawstyle="steps-post")
