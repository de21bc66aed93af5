"""The figure of growing networks beside static ones: their loss against what training cost."""

from itertools import cycle

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from growsearch.study.figures import ACCENT, MUTED, OTHER_COLOR, plain

COLORS = (MUTED, "#b45309", ACCENT, OTHER_COLOR)
"""Of growing networks; few have the last ones."""
STATIC = (("-", "o"), ("--", "s"), ("-.", "^"), (":", "D"))
"""Lines and markers."""


def equal_cost_figure(static: pd.DataFrame, growing: pd.DataFrame, cost: str, loss: str) -> Figure:
    """A line for each `name` of `static`, and points of a colour for each of `growing`.

    Both tables have the columns panel, name, cost and loss, and those two columns' names are the
    labels of the axes. There is a panel for each of `growing`, in its order. The axis of losses has
    room for all static networks. What is above them is left out, and the title says how many points
    that are.
    """
    titles = [str(title) for title in growing["panel"].unique()]
    names = growing["name"].unique()
    shades = COLORS[max(len(COLORS) - len(names), 0) :]
    colors = dict(zip(names, cycle(shades), strict=False))
    lines = dict(zip(sorted(static["name"].unique()), cycle(STATIC), strict=False))
    width = 7.0 if len(titles) == 1 else max(9.6, 3.8 * len(titles))
    figure = Figure(figsize=(width, 4.6), layout="constrained")
    panels = figure.subplots(1, len(titles), sharey=True, squeeze=False)[0]
    least, most = min(growing[loss].min(), static[loss].min()), static[loss].max()
    margin = 0.05 * (most - least)
    panels[0].set_ylim(least - margin, most + margin)
    handles: dict[str, Artist] = {}
    for axes, title in zip(panels, titles, strict=True):
        for name, own in static[static["panel"] == title].groupby("name"):
            _draw_line(axes, own.sort_values(cost), cost, loss, lines[name])
        mine = growing[growing["panel"] == title]
        for number, (name, color) in enumerate(colors.items()):
            own = mine[mine["name"] == name]
            axes.scatter(own[cost], own[loss], s=22, color=color, edgecolors="white",
                         linewidths=0.4, zorder=3 + number, label=name)  # fmt: skip
        above = int((mine[loss] > most + margin).sum())
        note = f" ({above} more above)" if above else ""
        plain(axes, f"{title}{note}")
        axes.set_xlabel(cost)
        handles |= {str(artist.get_label()): artist for artist in [*axes.lines, *axes.collections]}
    panels[0].set_ylabel(loss)
    figure.legend(
        handles=list(handles.values()), frameon=False, loc="outside lower center", ncols=4
    )
    return figure


def _draw_line(
    axes: Axes, line: pd.DataFrame, cost: str, loss: str, style: tuple[str, str]
) -> None:
    dashes, marker = style
    axes.plot(
        line[cost], line[loss], dashes, color="#475569", linewidth=1.2, marker=marker, zorder=10,
        markersize=4.5, markerfacecolor="white", label=line["name"].iloc[0],
    )  # fmt: skip
