"""Racing: a trial that has cost as much as others and stands worse pauses, and may go on later.

After MO-ASHA (Schmucker et al. 2021, arXiv:2106.12639), but no trial is stopped, rungs are steps of
cost, not of epochs, and distances are of normalised objectives.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from math import floor, inf, log
from operator import le
from typing import NamedTuple

import moocore
import numpy as np
from numpy.typing import NDArray

from growsearch.stopping.epsilon_net import EpsilonNet
from growsearch.stopping.hypervolume import Bounds, Outcome, hypervolume_gains
from growsearch.trial.errors import InputError

GRACE = 5
"""Epochs before a trial is judged."""
FEW = 10
"""Trials that none dominates go on if there are no more of them, whatever their share."""
GRID = 1e9
"""Distances are whole numbers of so many to a layer's extent: no unit of cost changes a tie."""

Point = tuple[float, ...]
"""What is minimised: the costs, then the error in percent."""


class Verdict(NamedTuple):
    """How a trial stood when it passed a rung."""

    rung: int
    """From 0."""
    layer: int
    """0 if none dominates the trial, else one more than the last layer of those that do."""
    trials: int
    """How many were compared, this one included."""
    pause: bool


class Racing:
    """At each rung about one trial in `eta` goes on, and the others pause.

    A trial passes rung k when it has cost first_rung * eta**k, where first_rung is what the first
    trial to have trained 5 epochs had cost by then. None is judged before its fifth epoch. One that
    passes several rungs at once is judged at the highest alone: it was never comparable with those
    at the others. Raises InputError unless `eta` is a finite number above 1.
    """

    def __init__(self, eta: float) -> None:
        if not 1 < eta < inf:
            raise InputError(
                f"eta={eta} is no finite number above 1, and one trial in eta goes on; try 3"
            )
        self.eta = eta
        self.first_rung: float | None = None
        self._rungs: dict[int, _Rung] = {}
        self._passed: dict[str, int] = {}

    def judge(
        self, trial_id: str, epoch: int, spent: float, costs: Sequence[float], accuracy: float
    ) -> Verdict | None:
        """The verdict after an epoch; None if the trial has passed no further rung.

        To be told of every epoch, the last one too. `spent` is what the trial's epochs so far cost
        to train, in one unit for all trials; `costs` are lower bounds of its final costs, above 0,
        as many for each trial; `accuracy` is in percent, on validation data.
        """
        if epoch < GRACE:
            return None
        if self.first_rung is None:
            self.first_rung = spent
        # a network that never grows reaches rungs exactly, up to rounding
        rung = floor(log(spent / self.first_rung, self.eta) + 1e-9)
        if rung <= self._passed.get(trial_id, -1):
            return None
        self._passed[trial_id] = rung
        if rung not in self._rungs:
            self._rungs[rung] = _Rung(self.eta)
        return Verdict(rung, *self._rungs[rung].enter((*costs, 100 - accuracy)))


class _Rung:
    """All that have passed a rung, in layers: each dominated by the one before, not by itself.

    A trial is compared with those that were there when the layers were last made, which is anew
    whenever more than a tenth as many have come since. It goes on if it is among the first 1/eta
    of them and itself: by layers, and by `_Places` in the layer where this share ends. Its layer is
    found in O(log(n)^2) for one cost, in O(n log(n)) for more.
    """

    def __init__(self, eta: float) -> None:
        self.eta = eta
        self.points: list[Point] = []
        self.compared = 0
        self.layers: list[list[Point]] = []
        self.last = 0
        """The layer where the share ends."""
        self.places: _Places | None = None
        """Who goes on there; None if all."""

    def enter(self, point: Point) -> tuple[int, int, bool]:
        """Its layer, how many are compared, and whether it pauses."""
        if 10 * len(self.points) > 11 * self.compared:
            self._make_layers()
        self.points.append(point)
        # if a layer dominates the point, so do all before it
        layer = bisect_left(self.layers, True, key=lambda members: not _dominate(members, point))
        pause = layer > self.last
        if layer == self.last and self.places:
            pause = not self.places.take(point)
        return layer, self.compared + 1, pause

    def _make_layers(self) -> None:
        self.compared = len(self.points)
        layers = moocore.pareto_rank(np.array(self.points, dtype=float)).tolist()
        self.layers = [[] for _ in range(max(layers) + 1)]
        for point, layer in sorted(zip(self.points, layers, strict=True)):
            self.layers[layer].append(point)
        places, self.last = floor((self.compared + 1) / self.eta), 0
        while places > len(self.layers[self.last]):
            places -= len(self.layers[self.last])
            self.last += 1
        if self.last == 0:
            places = max(places, FEW)
        members = self.layers[self.last]
        self.places = _Places(members, places) if places <= len(members) else None


class _Places:
    """Those of a layer that go on: an epsilon-net along it, from its cheap to its accurate end.

    Distances are of normalised log10 cost, the mean of them if there are several, less normalised
    error; for one cost that is the rectilinear distance.
    """

    def __init__(self, members: list[Point], places: int) -> None:
        logs = _logs(members)
        self.low, extent = logs.min(axis=0), np.ptp(logs, axis=0)
        self.extent = np.where(extent > 0, extent, 1)
        line = sorted(zip(self._along(members), members, strict=True))
        self.net = EpsilonNet([position for position, _ in line], places)
        # a point dominates what, both negated, dominates it
        self.chosen = sorted(_negated(line[i][1]) for i in self.net.chosen)

    def take(self, point: Point) -> bool:
        """Whether the point belongs to the net, or dominates one that does."""
        [position] = self._along([point])
        return self.net.takes(position) or _dominate(self.chosen, _negated(point))

    def _along(self, points: list[Point]) -> list[int]:
        scaled = (_logs(points) - self.low) / self.extent
        positions = scaled[:, :-1].mean(axis=1) - scaled[:, -1]
        return np.rint(GRID * positions).astype(np.int64).tolist()


def _logs(points: list[Point]) -> NDArray[np.float64]:
    values = np.array(points, dtype=float)
    values[:, :-1] = np.log10(values[:, :-1])
    return values


def _negated(point: Point) -> Point:
    return tuple(-value for value in point)


def _dominate(members: list[Point], point: Point) -> bool:
    """Whether one of the members, sorted and none dominating another, dominates the point."""
    if len(point) > 2:
        return any(all(map(le, member, point)) and member != point for member in members)
    i = bisect_right(members, (point[0], inf))
    return i > 0 and members[i - 1][1] <= point[1] and members[i - 1] != point


def next_to_resume(
    paused: Mapping[str, Outcome], completed: Iterable[Outcome], bounds: Bounds
) -> str | None:
    """Of the paused trials the one that may add most hypervolume to the completed; None of none.

    `paused` maps trial_id to the best that the trial may come to: the lower bound of its cost, and
    an upper bound of its accuracy or else the present one. Of equals the first by name.
    """
    if not paused:
        return None
    gains = hypervolume_gains(list(paused.values()), completed, bounds)
    return min(zip(-gains, paused, strict=True))[1]
