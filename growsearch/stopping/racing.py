"""Racing: trials are compared at equal cost; the worse ones pause and may be resumed later.

The rule follows MO-ASHA (Schmucker et al. 2021, arXiv:2106.12639) with three differences: trials
pause and are never stopped, rungs are levels of cost and not of epochs, and objectives are
normalised before distances are measured.
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
"""A trial is judged from this epoch on."""
FEW = 10
"""At least this many non-dominated trials go on, even if 1/eta of the trials is fewer."""
GRID = 1e9
"""Normalised positions are rounded to multiples of 1 / GRID: the unit of cost changes no tie."""

Point = tuple[float, ...]
"""The objectives, all minimised: the costs, then the error in percent."""


class Verdict(NamedTuple):
    """The comparison of a trial with the others when it passed a rung."""

    rung: int
    """The rung's number, from 0."""
    layer: int
    """0 if no trial dominates this one, else one more than the last layer that does."""
    trials: int
    """Number of trials compared, this one included."""
    pause: bool


class Racing:
    """At each rung about one trial in `eta` goes on, and the others pause.

    A trial passes rung k when its cost reaches first_rung * eta**k; first_rung is the cost, after
    its fifth epoch, of the first trial that trained five epochs. No trial is judged before its
    fifth epoch. A trial that passes several rungs in one epoch is judged only at the highest: at
    the lower rungs its cost was above that of the other trials. Raises InputError unless `eta` is a
    finite number above 1.
    """

    def __init__(self, eta: float) -> None:
        if not 1 < eta < inf:
            raise InputError(
                f"eta={eta} must be a finite number above 1, because one trial in eta goes on; "
                "try 3"
            )
        self.eta = eta
        self.first_rung: float | None = None
        self._rungs: dict[int, _Rung] = {}
        self._passed: dict[str, int] = {}

    def judge(
        self, trial_id: str, epoch: int, spent: float, costs: Sequence[float], accuracy: float
    ) -> Verdict | None:
        """The verdict after an epoch; None if the trial passed no new rung in it.

        Call it after every epoch, the last one included. `spent` is the training cost of the
        trial's epochs so far, in one unit for all trials. `costs` are lower bounds of its final
        costs, all above 0, the same number for every trial. `accuracy` is in percent, on validation
        data.
        """
        if epoch < GRACE or spent <= 0:
            return None
        if self.first_rung is None:
            self.first_rung = spent
        # A network that never grows reaches rungs exactly; 1e-9 absorbs the rounding of log.
        rung = floor(log(spent / self.first_rung, self.eta) + 1e-9)
        if rung <= self._passed.get(trial_id, -1):
            return None
        self._passed[trial_id] = rung
        if rung not in self._rungs:
            self._rungs[rung] = _Rung(self.eta)
        return Verdict(rung, *self._rungs[rung].enter((*costs, 100 - accuracy)))


class _Rung:
    """The trials that passed a rung, in Pareto layers.

    Every point is dominated from the layer before its own, none from its own layer. A new trial is
    compared with the trials in the layers. The layers are made anew when the trials that arrived
    since exceed a tenth of those in the layers. The trial goes on if it is among the first 1/eta of
    all compared: whole layers first, then part of the next layer, chosen by `_Places`. Finding its
    layer takes O(log(n)^2) steps for one cost, O(n log(n)) for several.
    """

    def __init__(self, eta: float) -> None:
        self.eta = eta
        self.points: list[Point] = []
        self.compared = 0
        self.layers: list[list[Point]] = []
        self.last = 0
        """The last layer from which trials go on."""
        self.places: _Places | None = None
        """The members of that layer that go on; None if all do."""

    def enter(self, point: Point) -> tuple[int, int, bool]:
        """Add a trial; returns its layer, the number of trials compared, whether it pauses."""
        if 10 * len(self.points) > 11 * self.compared:
            self._make_layers()
        self.points.append(point)
        # If a layer dominates the point, so do all layers before it: bisection applies.
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
    """The members of a layer that go on: an epsilon-net along the layer.

    A point's position is its normalised log10 cost (the mean over several costs) minus its
    normalised error. For one cost, the difference of two positions is the rectilinear distance.
    """

    def __init__(self, members: list[Point], places: int) -> None:
        logs = _logs(members)
        self.low, extent = logs.min(axis=0), np.ptp(logs, axis=0)
        self.extent = np.where(extent > 0, extent, 1)
        line = sorted(zip(self._along(members), members, strict=True))
        self.net = EpsilonNet([position for position, _ in line], places)
        # a dominates b exactly if -b dominates -a.
        self.chosen = sorted(_negated(line[i][1]) for i in self.net.chosen)

    def take(self, point: Point) -> bool:
        """Whether the point would be chosen for the net, or dominates a chosen member."""
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
    """Whether a member dominates the point; members are sorted, and none dominates another."""
    if len(point) > 2:
        return any(all(map(le, member, point)) and member != point for member in members)
    i = bisect_right(members, (point[0], inf))
    return i > 0 and members[i - 1][1] <= point[1] and members[i - 1] != point


def next_to_resume(
    paused: Mapping[str, Outcome], completed: Iterable[Outcome], bounds: Bounds
) -> str | None:
    """The paused trial that could add the most hypervolume to the completed ones; None if none is.

    `paused` maps trial_id to the trial's best possible outcome: a lower bound of its cost, and an
    upper bound of its accuracy or, without one, its accuracy so far. On a tie the first trial_id
    in alphabetical order is returned.
    """
    if not paused:
        return None
    gains = hypervolume_gains(list(paused.values()), completed, bounds)
    return min(zip(-gains, paused, strict=True))[1]
