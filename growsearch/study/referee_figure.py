"""The figure of a referee study: growing schedules beside static networks for as many FLOPs."""

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from growsearch.study.drawn import without_math
from growsearch.study.figures import ACCENT, MUTED, OTHER_COLOR
from growsearch.study.referee import FACTORS

COLORS = {"default": MUTED, "zero": "#b45309", "copy": ACCENT, "clone": OTHER_COLOR}
"""By initializer; the later ones are drawn above the others."""
STATIC = (("-", "o"), ("--", "s"), ("-.", "^"), (":", "D"))
"""Lines and markers of static networks, by depth."""


def referee_figure(table: pd.DataFrame, static: pd.DataFrame, loss: str = "test_loss") -> Figure:
    """A panel for each learning-rate schedule; points and lines are means over seeds.

    `table` is that of `schedules`, `static` that of `static_networks`, and `loss` is one of their
    losses. The axis of losses has room for all static networks. What is above them is left out, and
    the title says how many schedules that are.
    """
    schedules = [str(name) for name in table["lr_schedule"].unique()]
    figure = Figure(figsize=(4.8 * len(schedules), 4.6), layout="constrained")
    panels = figure.subplots(1, len(schedules), sharey=True, squeeze=False)[0]
    means = table.groupby(list(FACTORS))[["flops", loss]].mean().reset_index()
    horizons = ["lr_schedule", "architecture", "epochs"]
    lines = static.groupby(horizons)[["flops", loss]].mean().reset_index()
    least, most = min(means[loss].min(), lines[loss].min()), lines[loss].max()
    margin = 0.05 * (most - least)
    panels[0].set_ylim(least - margin, most + margin)
    handles: dict[str, Artist] = {}
    for axes, schedule in zip(panels, schedules, strict=True):
        own = means[means["lr_schedule"] == schedule]
        _draw_static(axes, lines[lines["lr_schedule"] == schedule], loss)
        _draw_growing(axes, own, loss)
        above = int((own[loss] > most + margin).sum())
        note = f" ({above} more above)" if above else ""
        axes.set_title(without_math(f"{schedule}{note}"), loc="left", fontsize=11)
        axes.set_xlabel("training FLOPs, in % of the deepest static network's")
        axes.grid(color="#e2e8f0", linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
        handles |= {str(artist.get_label()): artist for artist in axes.lines + axes.collections}
    panels[0].set_ylabel(f"{loss.replace('_', ' ')}, mean over seeds")
    figure.legend(
        handles=list(handles.values()), frameon=False, loc="outside lower center", ncols=4
    )
    return figure


def _draw_static(axes: Axes, lines: pd.DataFrame, loss: str) -> None:
    for number, (architecture, line) in enumerate(lines.groupby("architecture")):
        dashes, marker = STATIC[number % len(STATIC)]
        axes.plot(
            100 * line["flops"], line[loss], dashes, color="#475569", linewidth=1.2, marker=marker,
            markersize=4.5, markerfacecolor="white", label=f"static, {architecture}", zorder=10,
        )  # fmt: skip


def _draw_growing(axes: Axes, means: pd.DataFrame, loss: str) -> None:
    order = [*means["initializer"].unique()]
    order.sort(key=lambda name: list(COLORS).index(name) if name in COLORS else -1)
    for number, initializer in enumerate(order):
        points = means[means["initializer"] == initializer]
        axes.scatter(
            100 * points["flops"], points[loss], s=22, color=COLORS.get(initializer, "black"),
            edgecolors="white", linewidths=0.4, zorder=3 + number, label=f"grows, {initializer}",
        )  # fmt: skip
