"""The figure of a replay: hypervolume against what was paid."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from growsearch.study.drawn import without_math

Curve = Sequence[tuple[float, float, float, float]]
"""Paid; the median hypervolume then, its lowest and its highest, all in percent."""

FEW = 4
"""The bands of more would hide each other."""


def replay_figure(curves: Mapping[str, Curve], unit: str, title: str = "") -> Figure:
    """A line for the median of each contender; for a few, a band for the range over orders too.

    `unit` is what is paid in, like "parameter-epochs".
    """
    figure = Figure(figsize=(7.5, 4.8), layout="constrained")
    axes = figure.add_subplot()
    for number, (name, curve) in enumerate(curves.items()):
        paid, median, lowest, highest = zip(*curve, strict=True)
        color, dashes = f"C{number % 10}", "-" if number < 10 else "--"
        axes.plot(
            paid, median, label=without_math(name), linewidth=1.6, color=color, linestyle=dashes
        )
        if len(curves) <= FEW:
            axes.fill_between(paid, lowest, highest, color=color, alpha=0.1, linewidth=0)
    axes.set_xlabel(f"paid {without_math(unit)}, in % of all trials without sharing")
    axes.set_ylabel("hypervolume, in % of the whole front's")
    axes.set_xscale("log")
    axes.set_xlim(0.1, 100)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_ylim(50, 101)
    axes.grid(alpha=0.25)
    axes.set_title(without_math(title), fontsize=10)
    figure.legend(frameon=False, loc="outside right upper", fontsize=8)
    return figure
