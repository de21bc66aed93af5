"""Stop the trials that can no longer reach the front.

Trial i is stopped at epoch t if a completed trial f has c_f <= LB_i(t) in every cost and
accuracy_f >= UB_i(t) - delta. LB are lower bounds of i's final costs, given by the caller: of
PPE, (S_t + p_t (T - t)) / T for S_t parameter-epochs paid and p_t parameters now, as networks only
grow. UB is an upper bound of i's final accuracy. Accuracies are in percent, costs in any unit.

- If UB is never wrong and delta is 0, the values on the final front are those of the search
  without stopping, for any order of trials and number of workers; of trials that tie, one stays.
- With slack delta the front loses at most delta percentage points of accuracy, at no more cost.
- `Calibration`'s UB is wrong at any epoch of a finishing trial with probability at most alpha
  (split conformal prediction: Lei et al., Distribution-Free Predictive Inference for Regression,
  2018), on average over searches of exchangeable trials, once n >= 1/alpha - 1 trials have
  calibrated it. Adaptive searches and shared first epochs break exchangeability, and so do workers
  if trials that finish early, which calibrate first, learn differently from the others. Then
  `false_stops` of `judged` audited trials tell.
"""

import hashlib
import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from growsearch.trial.errors import InputError

CELLS = 32
"""Equal parts of a trial's progress."""
LEAST_SCALE = 0.5
"""Percentage points: the few trials that fit the scale agree somewhere by chance."""

_by_costs, _by_accuracy = attrgetter("costs"), attrgetter("accuracy")


@dataclass(frozen=True)
class Completed:
    trial: str
    costs: tuple[float, ...]
    accuracy: float
    """After the last epoch, percent."""


@dataclass(frozen=True)
class Standing:
    """A running trial after an epoch."""

    trial: str
    progress: float
    """Share of its epochs that are trained: above 0, 1 at its end."""
    best_accuracy: float
    """Of its epochs so far, percent; the last one's is often tens of points lower after growth."""
    costs: tuple[float, ...]
    """Lower bounds of the final ones; -inf where nothing is known."""


@dataclass(frozen=True)
class Stop:
    """Why a trial is stopped."""

    trial: str
    dominated_by: Completed
    lower_costs: tuple[float, ...]
    upper_accuracy: float
    delta: float
    accuracy: str = "accuracy"
    """What it is called."""

    def __str__(self) -> str:
        other = self.dominated_by
        costs = zip(other.costs, self.lower_costs, strict=True)
        parts = [f"cost {cost:,.6g} <= {lower:,.6g}" for cost, lower in costs]
        slack = f" - {self.delta:g}" if self.delta else ""
        parts.append(f"{self.accuracy} {other.accuracy:.4g} >= {self.upper_accuracy:.4g}{slack}")
        return f"dominated by trial {other.trial} ({', '.join(parts)})"


class Front:
    """The completed trials that no other dominates; of equal ones the first.

    Of n members `dominator` looks at O(log n) if there is one cost, at up to all if several.
    """

    def __init__(self) -> None:
        self.members: list[Completed] = []
        """By rising accuracy, and so by rising cost if there is one cost."""

    def add(self, trial: Completed) -> None:
        if self.dominator(trial.costs, trial.accuracy):
            return
        start = 0
        if len(trial.costs) == 1:
            start = bisect_left(self.members, trial.costs, key=_by_costs)
        end = bisect_right(self.members, trial.accuracy, key=_by_accuracy)
        kept = [m for m in self.members[start:end] if not _covers(trial, m.costs, m.accuracy)]
        self.members[start:end] = [*kept, trial]

    def dominator(self, costs: tuple[float, ...], accuracy: float) -> Completed | None:
        """The most accurate trial that costs no more than `costs`, if it reaches `accuracy`."""
        if len(costs) == 1:
            end = bisect_right(self.members, costs, key=_by_costs)
            start = max(end - 1, 0)
        else:
            start = bisect_left(self.members, accuracy, key=_by_accuracy)
            end = len(self.members)
        members = reversed(self.members[start:end])
        return next((m for m in members if _covers(m, costs, accuracy)), None)


def _covers(trial: Completed, costs: tuple[float, ...], accuracy: float) -> bool:
    cheap = all(own <= cost for own, cost in zip(trial.costs, costs, strict=True))
    return cheap and trial.accuracy >= accuracy


@dataclass(frozen=True)
class AccuracyBound:
    gains: tuple[float, ...]
    """By cell of progress: how far the final accuracy exceeds the best so far at most."""
    most: float = 100.0

    def upper(self, progress: float, best_accuracy: float) -> float:
        """An upper bound of the final accuracy, percent."""
        gain = self.gains[_cell(progress)] if progress < 1 else 0.0
        return min(self.most, best_accuracy + gain)


class Calibration:
    """Bounds what trials still gain by what trials gained that nothing could have stopped.

    Every third of these, as they arrive, fits the gain's centre g and scale s by progress. Each of
    the n others has a score, its largest (gain - g) / s over all its epochs. With q the
    ceil((n + 1) (1 - alpha))-th smallest score, `bound` is g + q s; it is None while there are too
    few. g and s are constant within a cell: so a trial's largest gain in each cell is all that its
    exact score under any later g and s needs. InputError if alpha is not between 0 and 1.
    """

    def __init__(self, alpha: float, most: float = 100.0) -> None:
        if not 0 < alpha < 1:
            raise InputError(
                f"alpha={alpha} is no probability between 0 and 1; give 0.1 if one bound in ten "
                "may be wrong"
            )
        self.alpha, self.most = alpha, most
        self.bound: AccuracyBound | None = None
        self._gains = np.empty((0, CELLS))

    def learn(self, curve: Sequence[tuple[float, float]], accuracy: float) -> None:
        """From a trial's (progress, accuracy) after every epoch, and its final accuracy."""
        progress, accuracies = zip(*curve, (1.0, accuracy), strict=True)
        gains = accuracy - np.maximum.accumulate(accuracies)
        largest = np.full(CELLS, -np.inf)
        np.maximum.at(largest, [_cell(share) for share in progress], gains)
        known = np.flatnonzero(largest > -np.inf)
        # Filling the cells without an epoch only raises scores, by one rule for all trials.
        filled = np.interp(np.arange(CELLS), known, largest[known])
        self._gains = np.vstack([self._gains, filled])
        self.bound = self._fitted()

    def _fitted(self) -> AccuracyBound | None:
        fits = np.arange(len(self._gains)) % 3 == 2
        n = np.count_nonzero(~fits)
        nth = math.ceil((n + 1) * (1 - self.alpha))
        if nth > n or not fits.any():
            return None
        centre = self._gains[fits].mean(axis=0)
        scale = np.maximum(self._gains[fits].std(axis=0), LEAST_SCALE)
        scores = ((self._gains[~fits] - centre) / scale).max(axis=1)
        quantile = np.partition(scores, nth - 1)[nth - 1]
        return AccuracyBound(tuple((centre + quantile * scale).tolist()), self.most)


def _cell(progress: float) -> int:
    return min(int(progress * CELLS), CELLS - 1)


class SafeStopping:
    """Which trials to stop, by the rule above: the same calls in the same order, the same answers.

    A share `audit` of the trials, drawn by name and seed, always runs to its end, to calibrate the
    bound and to judge it. `upper`, if given, is the bound instead. What is called `accuracy` is
    `most` at most: it may be a loss, taken negative. InputError for an alpha, delta
    or audit out of range.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.1,
        delta: float = 0.0,
        audit: float = 0.1,
        seed: int = 0,
        accuracy: str = "accuracy",
        most: float = 100.0,
        upper: Callable[[Standing], float] | None = None,
    ) -> None:
        if not 0 <= delta < math.inf:
            raise InputError(f"delta={delta} is no number of percentage points; give 0 or more")
        if not 0 <= audit <= 1:
            raise InputError(f"audit={audit} is no share of the trials; give 0 to 1")
        self.delta, self.audit, self.seed, self.upper = delta, audit, seed, upper
        self.front = Front()
        self.accuracy = accuracy
        self.calibration = Calibration(alpha, most)
        self.judged = 0
        """Audited trials that are over and would have been stopped."""
        self.false_stops = 0
        """Those of them more accurate than what would have stopped them, by more than delta."""
        self._bounds: dict[str, AccuracyBound] = {}
        self._unheeded: dict[str, Stop] = {}

    def is_audited(self, trial: str) -> bool:
        digest = hashlib.sha256(f"{self.seed}/{trial}".encode()).digest()
        return int.from_bytes(digest[:8], "big") < self.audit * 2**64

    def verdict(self, standing: Standing) -> Stop | None:
        """Why to stop the trial now; None if it goes on, or is at its end anyway."""
        trial = standing.trial
        upper = self.upper_accuracy(standing) if standing.progress < 1 else None
        if upper is None:
            return None
        dominator = self.front.dominator(standing.costs, upper - self.delta)
        if dominator is None:
            return None
        stop = Stop(trial, dominator, standing.costs, upper, self.delta, self.accuracy)
        if self.is_audited(trial):
            self._unheeded.setdefault(trial, stop)
            return None
        self._bounds.pop(trial, None)
        return stop

    def unheeded(self, trial: str) -> Stop | None:
        """Why an audited trial would have been stopped first, until it is over."""
        return self._unheeded.get(trial)

    def upper_accuracy(self, standing: Standing) -> float | None:
        """The bound that the trial is judged by; None before calibration allows one."""
        if self.upper is not None:
            return self.upper(standing)
        if self.calibration.bound is None:
            return None
        # A trial keeps its first bound: wrong with probability alpha, as any of several is not.
        bound = self._bounds.setdefault(standing.trial, self.calibration.bound)
        return bound.upper(standing.progress, standing.best_accuracy)

    def completed(
        self,
        trial: str,
        costs: tuple[float, ...],
        accuracy: float | None,
        curve: Sequence[tuple[float, float]],
    ) -> None:
        """A trial is over, with final costs and accuracy, and (progress, accuracy) by epoch.

        Accuracy None or NaN: it diverged. It joins neither the front nor the calibration.
        """
        self._bounds.pop(trial, None)
        stop = self._unheeded.pop(trial, None)
        accuracy = math.nan if accuracy is None else accuracy
        if stop is not None:
            self.judged += 1
            self.false_stops += accuracy > stop.dominated_by.accuracy + stop.delta
        if math.isnan(accuracy):
            return
        if self.calibration.bound is None or self.is_audited(trial):
            self.calibration.learn(curve, accuracy)
        self.front.add(Completed(trial, costs, accuracy))
