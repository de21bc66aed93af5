"""Schedulers that replays compare with, and that no search has: each is here as it is published.

They see what they would see elsewhere: the epoch, what a trial has cost so far, and the metric.
None of them knows what a trial will cost, or which epochs trials share.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import moocore
import numpy as np
from numpy.typing import NDArray
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from growsearch.searches.kinds import Queue, StoppingScheduler
from growsearch.searches.messages import trial_name
from growsearch.trial.options import option
from growsearch.trial.status import Status
from growsearch.tuning.one_metric import longest

if TYPE_CHECKING:
    from growsearch.searches.ledger import Ledger
    from growsearch.stopping.cost import Metric
    from growsearch.stopping.judge import ParetoStopping
    from growsearch.trial.history import EpochRecord

Objectives = NDArray[np.float64]
"""Training FLOPs so far and the error of trials, [trials, 2]; both are minimized."""


@dataclass(frozen=True, kw_only=True)
class Published(StoppingScheduler):
    """A scheduler that is not registered: it is known to replays only."""

    grace_period: int = option(5, "no trial is judged before this epoch", least=1)


@dataclass(frozen=True, kw_only=True)
class Halving(Published):
    """Synchronous successive halving of all trials by the metric at equal epochs (Jamieson and
    Talwalkar 2016, arXiv:1502.07943): at each rung, one trial in `reduction_factor` goes on.
    """

    name = "halving"
    reduction_factor: float = option(3.0, "one trial in this many goes on", above=1)

    def tune_scheduler(
        self, queue: Queue, metric: "Metric", judge: "ParetoStopping | None"
    ) -> TrialScheduler:
        return _Halving(queue, metric, self.grace_period, self.reduction_factor)


@dataclass(frozen=True, kw_only=True)
class RankMedian(Published):
    """Stops a trial whose Pareto layer is above the median of those that came to the same epoch:
    the median stopping rule (Golovin et al. 2017) by the layers of non-dominated sorting.
    """

    name = "rank-median"

    def tune_scheduler(
        self, queue: Queue, metric: "Metric", judge: "ParetoStopping | None"
    ) -> TrialScheduler:
        return _AtEpochs(
            queue.ledger, metric, range(self.grace_period, longest(queue.ledger)), is_behind
        )


@dataclass(frozen=True, kw_only=True)
class MOASHA(Published):
    """Asynchronous successive halving by non-dominated sorting and an epsilon-net (Schmucker et al.
    2021, arXiv:2106.12639), with costs in logarithms and both objectives scaled to their ranges.
    """

    name = "mo-asha"
    reduction_factor: float = option(3.0, "one trial in this many goes on", above=1)

    def tune_scheduler(
        self, queue: Queue, metric: "Metric", judge: "ParetoStopping | None"
    ) -> TrialScheduler:
        def stops(before: Objectives, mine: NDArray[np.float64]) -> bool:
            priorities = self.priorities(np.vstack([before, mine]))
            better = np.count_nonzero(priorities < priorities[-1])
            return bool(better / len(priorities) > 1 / self.reduction_factor)

        ledger, rungs = queue.ledger, [float(self.grace_period)]
        while rungs[-1] * self.reduction_factor <= longest(ledger):
            rungs.append(rungs[-1] * self.reduction_factor)
        return _AtEpochs(ledger, metric, [math.ceil(rung) for rung in rungs], stops)

    def priorities(self, objectives: Objectives) -> NDArray[np.int64]:
        """Each trial's place: layer by layer, in a layer by the epsilon-net; 0 is the first."""
        scaled = objectives.copy()
        scaled[:, 0] = np.log10(scaled[:, 0])
        scaled -= scaled.min(axis=0)
        scaled /= np.where(np.ptp(scaled, axis=0) > 0, np.ptp(scaled, axis=0), 1)
        order = [one for layer in _layers(scaled) for one in layer[_net(scaled[layer])]]
        return np.argsort(order)


@dataclass(frozen=True, kw_only=True)
class ShippedMOASHA(MOASHA):
    """MO-ASHA as Syne Tune 0.16 ships it, with its default grace of one epoch: the objectives are
    as they are, and two orders are taken for places, that in a layer and that of all trials.
    """

    name = "mo-asha-shipped"
    grace_period: int = option(1, "no trial is judged before this epoch", least=1)

    def priorities(self, objectives: Objectives) -> NDArray[np.int64]:
        error_first = objectives[:, ::-1]
        order = [
            one
            for layer in _layers(error_first)
            for one in layer[np.argsort(_net(error_first[layer]))]
        ]
        return np.array(order)


BASELINES: dict[str, type[Published]] = {
    cls.name: cls for cls in (Halving, RankMedian, MOASHA, ShippedMOASHA)
}
"""By the name that a replay calls them by."""


def is_behind(before: Objectives, mine: NDArray[np.float64]) -> bool:
    """Whether a trial's Pareto layer is above the median of its own and the others'."""
    layers = moocore.pareto_rank(np.vstack([before, mine]))
    return bool(layers[-1] > np.median(layers))


def _layers(objectives: Objectives) -> list[NDArray[np.int64]]:
    """The trials of each Pareto layer, the non-dominated ones first."""
    layers = moocore.pareto_rank(objectives)
    return [np.flatnonzero(layers == layer) for layer in range(layers.max() + 1)]


def _net(points: Objectives) -> NDArray[np.int64]:
    """An epsilon-net's order: the lowest in the first objective, then always the farthest."""
    order = [int(points[:, 0].argmin())]
    distances = np.full(len(points), np.inf)
    while len(order) < len(points):
        distances = np.minimum(distances, np.linalg.norm(points - points[order[-1]], axis=1))
        distances[order] = -1
        order.append(int(distances.argmax()))
    return np.array(order)


class _AtEpochs(FIFOScheduler):
    """Compares a trial that comes to one of `epochs` with those that came there before it."""

    def __init__(
        self, ledger: "Ledger", metric: "Metric", epochs: Sequence[int],
        stops: Callable[[Objectives, NDArray[np.float64]], bool],
    ) -> None:  # fmt: skip
        super().__init__()
        self.ledger, self.compared, self.stops = ledger, metric, stops
        self.there: dict[int, list[tuple[float, float]]] = {epoch: [] for epoch in epochs}
        self.seen: dict[str, int] = {}

    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        return str(self.STOP if self._is_behind(trial) else self.CONTINUE)

    def on_trial_complete(self, controller: Any, trial: Any, result: dict[str, Any]) -> None:
        self._is_behind(trial)

    def _is_behind(self, trial: Any) -> bool:
        """Whether it is at one of its epochs since the last call."""
        entry = self.ledger.trials[trial_name(trial.config)]
        behind = False
        for record in entry.history[self.seen.get(entry.name, 0) :]:
            there = self.there.get(record.epoch)
            if there is not None:
                mine = record.train_flops, _error(record, self.compared)
                if there and not behind:
                    behind = self.stops(np.array(there), np.array(mine))
                there.append(mine)
        self.seen[entry.name] = len(entry.history)
        return behind


class _Halving(FIFOScheduler):
    """Pauses trials at rungs until all have come there, and takes the best of them on."""

    def __init__(self, queue: Queue, metric: "Metric", grace: int, factor: float) -> None:
        super().__init__()
        self.ledger, self.compared, self.factor = queue.ledger, metric, factor
        self.rungs = [float(grace)]
        while self.rungs[-1] * factor < longest(queue.ledger):
            self.rungs.append(self.rungs[-1] * factor)
        self.rung = 0
        """The one to which trials are trained now."""
        self.out: set[str] = set()
        self.at: dict[str, int] = {}
        """By trial, how many rungs it has passed."""
        queue.order = self.order

    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        entry = self.ledger.trials[trial_name(trial.config)]
        if self.rung < len(self.rungs) and len(entry.history) >= self.rungs[self.rung]:
            self.at[entry.name] = self.rung + 1
            self.ledger.leave(entry.name, Status.PAUSED, f"at rung {self.rung}")
            return str(self.STOP)
        return str(self.CONTINUE)

    def order(self, names: list[str]) -> list[str]:
        going = [name for name in names if name not in self.out]
        behind = [name for name in going if self.at.get(name, 0) <= self.rung]
        if behind or self.ledger.with_status(Status.RUNNING) or not going:
            return behind
        best = sorted(going, key=self._error)
        keep = max(int(len(best) / self.factor), 1)
        self.out.update(best[keep:])
        self.rung += 1
        return best[:keep]

    def _error(self, name: str) -> float:
        """At the rung; a trial may have come further, by epochs that others trained."""
        at_rung = self.ledger.trials[name].history[math.ceil(self.rungs[self.rung]) - 1]
        return _error(at_rung, self.compared)


def _error(record: "EpochRecord", metric: "Metric") -> float:
    """The metric after the epoch, as a number of which less is better."""
    return -metric.value(metric.of(record))
