"""Trials that have not ended, as points of progress, accuracy and cost, and who of them stops.

What a trial is, and where its points come from, is the caller's: records of growing networks
(judge.py), or the results of any trainable of Ray Tune (tuning/pareto_scheduler.py).
"""

import math
from dataclasses import dataclass, field

from growsearch.stopping.safe import SafeStopping, Standing, Stop


@dataclass
class Curve:
    """A trial's points so far."""

    best: float = -math.inf
    """Best accuracy so far; -inf while none was a number."""
    points: list[tuple[float, float]] = field(default_factory=list)
    """Progress, and the best accuracy until then, of each point that has one."""
    progress: float = 0.0

    def add(self, progress: float, accuracy: float) -> None:
        """An accuracy of NaN leaves the best as it is."""
        self.progress = progress
        if accuracy > self.best:
            self.best = accuracy
        if self.best > -math.inf:
            self.points.append((progress, self.best))


class Following:
    """Follows trials by name, and has `safe` judge them."""

    def __init__(self, safe: SafeStopping) -> None:
        self.safe = safe
        self._curves: dict[str, Curve] = {}

    def add(self, name: str, progress: float, accuracy: float) -> None:
        """A point of the trial: progress from 0 to 1, and accuracy, of which more is better."""
        self._curves.setdefault(name, Curve()).add(progress, accuracy)

    def standing(self, name: str, costs: tuple[float, ...], upper: float = math.inf) -> Standing:
        """Where the trial stands, with lower bounds of its final costs; see Standing."""
        curve = self._curves[name]
        return Standing(name, curve.progress, curve.best, costs, upper)

    def verdict(self, name: str, costs: tuple[float, ...], upper: float = math.inf) -> Stop | None:
        """Why the trial is to stop now, after which it is not followed; None if it goes on."""
        stop = self.safe.verdict(self.standing(name, costs, upper))
        if stop is not None:
            self.forget(name)
        return stop

    def ended(self, name: str, costs: tuple[float, ...], accuracy: float | None) -> Stop | None:
        """The trial has come to its end, with these costs and this accuracy; None: it diverged.

        Returns why it would have been stopped but for the audit.
        """
        stop = self.safe.unheeded(name)
        self.safe.completed(name, costs, accuracy, self._curves[name].points)
        self.forget(name)
        return stop

    def forget(self, name: str) -> None:
        """The trial is not followed any more."""
        self._curves.pop(name, None)
