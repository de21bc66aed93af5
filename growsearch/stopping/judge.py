"""When a trial of a search stops or rests: the safe layer and the racing layer over its records."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from growsearch.stopping.cost import cost_of, metric_of
from growsearch.stopping.cost_bounds import CostBound, sizes_of
from growsearch.stopping.following import Following
from growsearch.stopping.hypervolume import Bounds, HypervolumeHistory
from growsearch.stopping.racing import Racing, next_to_resume
from growsearch.stopping.safe import SafeStopping, Standing, Stop
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import EpochRecord, History
from growsearch.trial.status import Status


class Leaving(NamedTuple):
    """How a trial leaves the search, for good or not."""

    status: Status
    """STOPPED or PAUSED."""
    reason: str
    stop: Mapping[str, object] = {}
    """If stopped: who dominates it, and the bounds, as the columns of results."""


@dataclass
class _Followed:
    """A trial that has not ended."""

    bound: CostBound
    epochs: int = 0


class ParetoStopping:
    """Judges trials by lower bounds of their final `costs`, and by their accuracy, a `metric`.

    The safe layer stops a trial that a completed one dominates whatever follows; see SafeStopping
    for `alpha`, `delta` and `audit`. The racing layer, unless `racing` is None, lets one trial in
    `racing` go on at each rung of cost and pauses the others; see Racing. Epochs that another trial
    has trained are not raced: whoever shares them stands as well. Audited trials are not paused.
    """

    def __init__(
        self, *, costs: Iterable[str] = ("ppe",), alpha: float = 0.1, delta: float = 0.0,
        audit: float = 0.1, racing: float | None = None, seed: int = 0,
        metric: str = "val_accuracy",
    ) -> None:  # fmt: skip
        self.costs, self.metric = tuple(costs), metric
        self._metric = metric_of(metric)
        self.safe = SafeStopping(
            alpha=alpha, delta=delta, audit=audit, seed=seed, most=self._metric.highest,
            accuracy=f"-{metric}" if self._metric.minimized else "accuracy",
        )  # fmt: skip
        self.racing = Racing(racing) if racing is not None else None
        self.hypervolume: HypervolumeHistory | None = None
        """Of completed trials' first cost and accuracy; its scale has the first of them amid."""
        self._curves = Following(self.safe)
        self._followed: dict[str, _Followed] = {}
        self._resting: dict[str, Standing] = {}
        """Of paused trials no more is kept: what goes on is followed anew."""

    def verdict(self, name: str, config: TrialConfig, history: History) -> Leaving | None:
        """Whether and why the trial leaves after its last epoch; None if it goes on."""
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
        """The trial has come to its end, completed or diverged.

        Returns why it would have been stopped but for the audit, as in Leaving; or nothing.
        """
        trial, last = self.follow(name, config, history), history[-1]
        costs = trial.bound.costs(self.costs)
        accuracy = self._accuracy(last) if last.status is Status.COMPLETED else None
        stop = self._curves.ended(name, costs, accuracy)
        del self._followed[name]
        if accuracy is not None:
            self._add_to_front(costs[0], accuracy)
        return self._columns(stop) if stop else {}

    def _add_to_front(self, cost: float, accuracy: float) -> None:
        if self.hypervolume is None:
            self.hypervolume = HypervolumeHistory(self._scale([cost]))
        self.hypervolume.add(cost, accuracy)

    def _columns(self, stop: Stop) -> dict[str, object]:
        names = [cost_of(cost).result() for cost in self.costs]
        bounds = dict(zip(names, stop.lower_costs, strict=True))
        bounds[self._metric.column] = self._metric.value(stop.upper_accuracy)
        return {"dominated_by": stop.dominated_by.trial, "slack": stop.delta} | {
            f"bound/{name}": bound for name, bound in bounds.items()
        }

    def next_to_resume(self, paused: Iterable[str]) -> str | None:
        """Of the paused trials the one that promises most hypervolume."""
        hopes = {name: self._hope(self._resting[name]) for name in paused}
        front = [(member.costs[0], member.accuracy) for member in self.safe.front.members]
        if not hopes:
            return None
        costs = [cost for cost, _ in (*hopes.values(), *front)]
        return next_to_resume(hopes, front, self._scale(costs))

    def _hope(self, standing: Standing) -> tuple[float, float]:
        """The least cost and the highest accuracy that the trial may come to."""
        upper = self.safe.upper_accuracy(standing)
        return standing.costs[0], standing.best_accuracy if upper is None else upper

    def follow(self, name: str, config: TrialConfig, history: History) -> _Followed:
        """Know the trial's epochs, without a verdict."""
        self._resting.pop(name, None)
        if name not in self._followed:
            self._followed[name] = _Followed(CostBound(config, sizes_of(config)))
        trial = self._followed[name]
        for record in history[trial.epochs :]:
            trial.bound.extend(record)
            progress = min(len(trial.bound.path.history.trained) / config.epochs, 1.0)
            self._curves.add(name, progress, self._accuracy(record))
            trial.epochs += 1
        return trial

    def rest(self, name: str) -> None:
        """The trial is paused."""
        costs = self._followed.pop(name).bound.costs(self.costs)
        self._resting[name] = self._curves.standing(name, costs)
        self._curves.forget(name)

    def _accuracy(self, record: EpochRecord) -> float:
        return self._metric.value(getattr(record, self._metric.column))

    def _scale(self, costs: Sequence[float]) -> Bounds:
        """Of hypervolumes: from a tenth of the lowest cost to ten times the highest."""
        return Bounds(
            lowest_cost=min(costs) / 10,
            highest_cost=max(costs) * 10,
            lowest_accuracy=self._metric.lowest,
            highest_accuracy=self._metric.highest,
        )
