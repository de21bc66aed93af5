"""Decides when a trial of a search stops or pauses, by its records: safe stopping and racing."""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from growsearch.stopping.cost import Metric, OwnNumber, cost_of, metric_of
from growsearch.stopping.cost_bounds import CostBound, Size, sizes_of
from growsearch.stopping.following import Following
from growsearch.stopping.hypervolume import Bounds, HypervolumeHistory
from growsearch.stopping.racing import Racing, next_to_resume
from growsearch.stopping.safe import SafeStopping, Standing, Stop
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import EpochRecord, History
from growsearch.trial.status import Status


class Leaving(NamedTuple):
    """A trial's stop, or its pause."""

    status: Status
    """STOPPED or PAUSED."""
    reason: str
    stop: Mapping[str, object] = {}
    """For a stopped trial: the columns of results that name its dominating trial and its bounds."""


@dataclass
class _Followed:
    """A trial that has not ended."""

    bound: CostBound
    epochs: int = 0


class ParetoStopping:
    """Judges trials by lower bounds of their final `costs`, and by their accuracy, a `metric`.

    The safe layer stops a trial if a completed one will dominate it in any case; see SafeStopping
    for `alpha`, `delta` and `audit`. If `racing` is a number, the racing layer compares trials at
    rungs of cost: one trial in `racing` continues, the others pause; see Racing. An epoch that
    another trial has trained is not raced, because both trials have the same accuracy there.
    Audited trials are not paused. Raises InputError as SafeStopping, and for a delta beyond the
    range of the metric.
    """

    def __init__(
        self, *, costs: Iterable[str] = ("ppe",), alpha: float = 0.1, delta: float = 0.0,
        audit: float = 0.1, racing: float | None = None, seed: int = 0,
        metric: str | Metric = "val_accuracy",
    ) -> None:  # fmt: skip
        self._metric = metric_of(metric) if isinstance(metric, str) else metric
        self.costs, self.metric = tuple(costs), self._metric.name
        if delta > (most := self._metric.highest - self._metric.lowest):
            raise InputError(
                f"delta={delta:g} is more than the whole range of {self.metric}, {most:g}; give a "
                "smaller one"
            )
        # what a point of a task's own number means is not known
        scale = {"least_scale": None} if isinstance(self._metric, OwnNumber) else {}
        self.sizes: Callable[[TrialConfig], Size] = sizes_of
        """The sizes of a trial's networks; by default, the networks are built to tell them."""
        self.safe = SafeStopping(
            alpha=alpha, delta=delta, audit=audit, seed=seed, most=self._metric.highest,
            accuracy=f"{'-' if self._metric.minimized else ''}{self._metric.label or self.metric}",
            **scale,
        )  # fmt: skip
        self.racing = Racing(racing) if racing is not None else None
        self.hypervolume: HypervolumeHistory | None = None
        """The hypervolume of the completed trials, by first cost and accuracy. Its cost scale is
        centred on the first completed trial."""
        self._curves = Following(self.safe)
        self._followed: dict[str, _Followed] = {}
        self._resting: dict[str, Standing] = {}
        """The paused trials. If one continues, all its epochs are followed again."""

    def verdict(self, name: str, config: TrialConfig, history: History) -> Leaving | None:
        """Whether the trial stops or pauses after its last epoch, and why; None if it continues."""
        trial, last = self.follow(name, config, history), history[-1]
        costs = trial.bound.costs(self.costs)
        stop = self._curves.verdict(name, costs)
        if stop is not None:
            del self._followed[name]
            return Leaving(Status.STOPPED, str(stop), self._columns(stop))
        if self.racing is None or last.reused or self.safe.is_audited(name):
            return None
        spent = trial.bound.spent(self.costs[0])
        raced = self.racing.judge(name, last.epoch, spent, costs, self._accuracy(last))
        if raced is None or not raced.pause:
            return None
        self.rest(name)
        others = f"{raced.layer} fronts before it among {raced.trials} trials"
        return Leaving(Status.PAUSED, f"at rung {raced.rung} of cost, with {others}")

    def ended(self, name: str, config: TrialConfig, history: History) -> Mapping[str, object]:
        """Takes note that the trial has completed or diverged.

        For an audited trial that would have been stopped, returns the columns as in Leaving.stop;
        otherwise an empty mapping.
        """
        trial, last = self.follow(name, config, history), history[-1]
        costs = trial.bound.costs(self.costs)
        accuracy = self._accuracy(last) if last.status is Status.COMPLETED else None
        if accuracy is not None and not math.isfinite(accuracy):  # as of a task's own number
            accuracy = None
        stop = self._curves.ended(name, costs, accuracy)
        del self._followed[name]
        if accuracy is not None:
            self._add_to_front(costs[0], accuracy)
        return self._columns(stop) if stop else {}

    def _add_to_front(self, cost: float, accuracy: float) -> None:
        if not math.isfinite(self._metric.lowest) or cost <= 0:
            return  # a hypervolume needs a range, and its costs are on a log scale
        if self.hypervolume is None:
            self.hypervolume = HypervolumeHistory(self._scale([(cost, accuracy)]))
        self.hypervolume.add(cost, accuracy)

    def _columns(self, stop: Stop) -> dict[str, object]:
        names = [cost_of(cost).result() for cost in self.costs]
        bounds = dict(zip(names, stop.lower_costs, strict=True))
        bounds[self._metric.column] = self._metric.value(stop.upper_accuracy)
        return {"dominated_by": stop.dominated_by.trial, "slack": stop.delta} | {
            f"bound/{name}": bound for name, bound in bounds.items()
        }

    def next_to_resume(self, paused: Iterable[str]) -> str | None:
        """The paused trial that may add the most hypervolume; None if there are none."""
        hopes = {name: self._hope(self._resting[name]) for name in paused}
        front = [(member.costs[0], member.accuracy) for member in self.safe.front.members]
        if not hopes:
            return None
        scale = self._scale([*hopes.values(), *front])
        least = scale.lowest_cost  # a cost of 0 is no place on a log scale
        hopes = {name: (max(cost, least), best) for name, (cost, best) in hopes.items()}
        front = [(max(cost, least), best) for cost, best in front]
        return next_to_resume(hopes, front, scale)

    def _hope(self, standing: Standing) -> tuple[float, float]:
        """The lowest cost and the highest accuracy that the trial can end with."""
        upper = self.safe.upper_accuracy(standing)
        return standing.costs[0], standing.best_accuracy if upper is None else upper

    def follow(self, name: str, config: TrialConfig, history: History) -> _Followed:
        """Takes note of the trial's new epochs, without a verdict."""
        self._resting.pop(name, None)
        if name not in self._followed:
            self._followed[name] = _Followed(CostBound(config, self.sizes(config)))
        trial = self._followed[name]
        for record in history[trial.epochs :]:
            trial.bound.extend(record)
            if trial.epochs == 0:
                self.safe.group_of[name] = self._group(trial.bound)
            progress = min(len(trial.bound.path.history.trained) / config.epochs, 1.0)
            self._curves.add(name, progress, self._accuracy(record))
            trial.epochs += 1
        return trial

    def _group(self, bound: CostBound) -> Hashable:
        """Trials of one group cost alike, up to a factor of two, and grow as often; where data
        decide about growing, they have the same policy.
        """
        config = bound.path.config
        if config.policy.known_epochs(config) < config.epochs:
            return config.policy.name
        cost = bound.costs(self.costs)[0]
        return int(math.log2(cost)) if cost > 0 else None, bound.growths_left

    def rest(self, name: str) -> None:
        """Takes note that the trial is paused."""
        costs = self._followed.pop(name).bound.costs(self.costs)
        self._resting[name] = self._curves.standing(name, costs)
        self._curves.forget(name)

    def _accuracy(self, record: EpochRecord) -> float:
        return self._metric.value(self._metric.of(record))

    def _scale(self, outcomes: Sequence[tuple[float, float]]) -> Bounds:
        """The scale of hypervolumes: from a tenth of the lowest cost to ten times the highest.

        Accuracies have the metric's range, or from the worst to the best if it has none.
        """
        found = [accuracy for _, accuracy in outcomes]
        costs = [cost for cost, _ in outcomes if cost > 0] or [1.0]
        accuracies = [self._metric.lowest, self._metric.highest]
        if not all(map(math.isfinite, accuracies)):
            finite = [a for a in found if math.isfinite(a)] or [0.0]
            accuracies = [min(finite), max(finite) + (min(finite) == max(finite))]
        return Bounds(
            lowest_cost=min(costs) / 10,
            highest_cost=max(costs) * 10,
            lowest_accuracy=accuracies[0],
            highest_accuracy=accuracies[1],
        )
