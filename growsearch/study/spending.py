"""The hypervolume of a study against what it cost, as it grew from trial to trial."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from growsearch.stopping.hypervolume import Bounds, HypervolumeHistory, Outcome


@dataclass(frozen=True)
class Spending:
    """One curve: after each trial, what all trials so far have cost and their hypervolume."""

    spent: list[float]
    hypervolume: list[float]


def spending(
    outcomes: Sequence[Outcome | None], costs: Sequence[float], bounds: Bounds
) -> Spending:
    """The curve of trials in their order; a trial that did not complete has no outcome.

    `costs` are in any unit that is summed: what was paid for each trial, or what it would have
    cost without sharing or without stopping.
    """
    history = HypervolumeHistory(bounds)
    values = [
        history.add(*outcome) if outcome else (history.values[-1] if history.values else 0.0)
        for outcome in outcomes
    ]
    return Spending(list(accumulate(costs)), values)


def bounds_of(outcomes: Sequence[Outcome]) -> Bounds | None:
    """The ranges of the outcomes; None if they have no extent, so that no area can be scaled."""
    if not outcomes:
        return None
    spent, values = zip(*outcomes, strict=True)
    if not (0 < min(spent) < max(spent) and min(values) < max(values)):
        return None
    return Bounds.around(outcomes)
