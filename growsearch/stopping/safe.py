"""Stop the trials that can no longer reach the front.

Trial i is stopped at epoch t if a completed trial f has c_f <= LB_i(t) in every cost and
accuracy_f >= UB_i(t) - delta. LB_i(t) are lower bounds of i's final costs, given by the caller. For
PPE the bound is (S_t + p_t (T - t)) / T, with S_t parameter-epochs paid, p_t parameters now and T
epochs in all, because networks only grow. UB_i(t) is an upper bound of i's final accuracy.
Accuracies are in percent, costs in any unit.

- If UB is never wrong and delta is 0, the final front has the same values as without stopping, for
  any order of trials and any number of workers. Of trials with equal values one stays.
- With slack delta the front loses at most delta percentage points of accuracy, at no higher cost.
- The probability that `Calibration`'s UB is wrong at some epoch of a trial that finishes is at most
  alpha, on average over searches of exchangeable trials, once n >= 1/alpha - 1 trials have
  calibrated it (split conformal prediction: Lei et al., Distribution-Free Predictive Inference for
  Regression, 2018). Adaptive samplers and shared first epochs break exchangeability. Parallel
  workers break it if trials that finish early, and so calibrate first, learn differently from the
  others. Groups of trials that learn alike, each with a calibration of its own, make it hold within
  each of them, whatever their order (Mondrian conformal prediction: Vovk et al., Algorithmic
  Learning in a Random World, 2005, section 4.5). The audit measures the error then: `false_stops`
  out of `judged` trials.
"""

import hashlib
import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

import numpy as np

from growsearch.trial.errors import InputError

CELLS = 32
"""Number of equal parts (cells) into which a trial's progress is divided."""
LEAST_SCALE = 0.5
"""Lower limit of the scale, in percentage points: a few trials may agree somewhere by chance."""

_by_costs, _by_accuracy = attrgetter("costs"), attrgetter("accuracy")


@dataclass(frozen=True)
class Completed:
    """A trial that trained all its epochs."""

    trial: str
    costs: tuple[float, ...]
    accuracy: float
    """Accuracy after the last epoch, percent."""


@dataclass(frozen=True)
class Standing:
    """A running trial after an epoch."""

    trial: str
    progress: float
    """Trained epochs over all its epochs: above 0, and 1 at its end."""
    best_accuracy: float
    """Best accuracy so far, percent. After growth the last one is often tens of points lower."""
    costs: tuple[float, ...]
    """Lower bounds of the final costs; -inf for an unknown bound."""
    upper: float = math.inf
    """An upper bound of the final accuracy that is known without calibration; inf: none is."""


@dataclass(frozen=True)
class Stop:
    """Why a trial is stopped."""

    trial: str
    dominated_by: Completed
    lower_costs: tuple[float, ...]
    upper_accuracy: float
    delta: float
    accuracy: str = "accuracy"
    """Name of the accuracy in messages."""

    def __str__(self) -> str:
        other = self.dominated_by
        costs = zip(other.costs, self.lower_costs, strict=True)
        parts = [f"cost {cost:,.6g} <= {lower:,.6g}" for cost, lower in costs]
        slack = f" - {self.delta:g}" if self.delta else ""
        parts.append(f"{self.accuracy} {other.accuracy:.4g} >= {self.upper_accuracy:.4g}{slack}")
        return f"dominated by trial {other.trial} ({', '.join(parts)})"


class Front:
    """The completed trials that no other dominates; of equal trials the first one added.

    With one cost `dominator` takes O(log n) steps for n members, with several O(n).
    """

    def __init__(self) -> None:
        self.members: list[Completed] = []
        """In order of rising accuracy; with one cost this is also the order of rising cost."""

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
        """The most accurate member with no cost above `costs` and at least `accuracy`, or None."""
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
    """An upper bound of final accuracies: the best accuracy so far plus the largest gain."""

    gains: tuple[float, ...]
    """For each cell of progress, the largest gain from the best to the final accuracy, percent."""
    most: float = 100.0
    """The largest possible accuracy."""

    def upper(self, progress: float, best_accuracy: float) -> float:
        """An upper bound of the final accuracy, percent."""
        gain = self.gains[_cell(progress)] if progress < 1 else 0.0
        return min(self.most, best_accuracy + gain)


class Calibration:
    """Learns, from trials that nothing could have stopped, how much accuracy a trial still gains.

    A trial's gain at an epoch is its final accuracy minus its best accuracy so far. Every third
    trial to arrive fits the gain's centre g and scale s in each cell of progress. Each of the n
    other trials has a score, its largest (gain - g) / s over all its epochs. With q the
    ceil((n + 1) (1 - alpha))-th smallest score, `bound` is g + q s. `bound` is None while there are
    too few trials. g and s are constant within a cell, so each trial's largest gain in each cell
    gives its exact score under any later g and s. `most` is the largest possible accuracy.
    `least_scale` is the lower limit of s; None stands for a tenth of the largest s of all cells,
    where the unit of the accuracy is not known. Raises InputError if alpha is not between 0 and 1.
    """

    def __init__(
        self, alpha: float, most: float = 100.0, least_scale: float | None = LEAST_SCALE
    ) -> None:
        if not 0 < alpha < 1:
            raise InputError(
                f"alpha={alpha} must be a probability between 0 and 1; give 0.1 if one bound in "
                "ten may be wrong"
            )
        self.alpha, self.most, self.least_scale = alpha, most, least_scale
        self.bound: AccuracyBound | None = None
        self._gains = np.empty((0, CELLS))

    def learn(self, curve: Sequence[tuple[float, float]], accuracy: float) -> None:
        """Add a trial's (progress, accuracy) after every epoch, and its final accuracy."""
        progress, accuracies = zip(*curve, (1.0, accuracy), strict=True)
        gains = accuracy - np.maximum.accumulate(accuracies)
        largest = np.full(CELLS, -np.inf)
        np.maximum.at(largest, [_cell(share) for share in progress], gains)
        known = np.flatnonzero(largest > -np.inf)
        if not len(known):  # an epoch was infinitely good
            return
        # Interpolating the cells without an epoch only raises scores, by one rule for all trials.
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
        scale = self._gains[fits].std(axis=0)
        # any positive limit keeps the guarantee; 1 where all deviations are 0
        least = self.least_scale or scale.max() / 10 or 1.0
        scale = np.maximum(scale, least)
        scores = ((self._gains[~fits] - centre) / scale).max(axis=1)
        quantile = np.partition(scores, nth - 1)[nth - 1]
        return AccuracyBound(tuple((centre + quantile * scale).tolist()), self.most)


def _cell(progress: float) -> int:
    return min(int(progress * CELLS), CELLS - 1)


class SafeStopping:
    """Decides which trials to stop; the same calls in the same order give the same decisions.

    A share `audit` of the trials, drawn by name and seed, always runs to its end, to calibrate the
    bound and to check it. `upper`, if given, replaces the calibrated bound. With an `alpha` of None
    nothing is calibrated: only bounds that are known otherwise stop a trial. `accuracy` is the name
    of the accuracy in messages. `most` is its maximum: 100 for percent, 0 for a negated loss.
    Raises InputError if alpha is not between 0 and 1, delta is negative or infinite, or audit is
    not from 0 to 1.
    """

    def __init__(
        self,
        *,
        alpha: float | None = 0.1,
        delta: float = 0.0,
        audit: float = 0.1,
        seed: int = 0,
        accuracy: str = "accuracy",
        most: float = 100.0,
        upper: Callable[[Standing], float] | None = None,
        least_scale: float | None = LEAST_SCALE,
    ) -> None:
        if not 0 <= delta < math.inf:
            raise InputError(
                f"delta={delta} must be a finite number of percentage points; give 0 or more"
            )
        if not 0 <= audit <= 1:
            raise InputError(f"audit={audit} must be a share of the trials; give 0 to 1")
        self.delta, self.audit, self.seed, self.upper = delta, audit, seed, upper
        self.front = Front()
        self.accuracy = accuracy
        self.alpha, self.most, self.least_scale = alpha, most, least_scale
        self.group_of: dict[str, Hashable] = {}
        """By trial, the group that it calibrates and is judged in, by default None. It must follow
        from what is known of the trial before it runs."""
        self.calibrations: dict[Hashable, Calibration] = {}
        """By group; empty without an alpha."""
        self._calibration_of("")
        self.judged = 0
        """Number of audited trials that have ended and would have been stopped."""
        self.false_stops = 0
        """Number of judged trials that exceeded their dominator's accuracy by more than delta."""
        self._bounds: dict[str, AccuracyBound] = {}
        self._unheeded: dict[str, Stop] = {}

    def is_audited(self, trial: str) -> bool:
        """Whether the trial belongs to the audited share."""
        digest = hashlib.sha256(f"{self.seed}/{trial}".encode()).digest()
        return int.from_bytes(digest[:8], "big") < self.audit * 2**64

    def verdict(self, standing: Standing) -> Stop | None:
        """The reason to stop the trial now; None if it goes on or has trained all its epochs."""
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
        """The first stop that the audit overruled for this running trial; None if there is none."""
        return self._unheeded.get(trial)

    def upper_accuracy(self, standing: Standing) -> float | None:
        """The upper bound of the trial's final accuracy; None while there is none."""
        if self.upper is not None:
            return self.upper(standing)
        known = standing.upper if standing.upper < math.inf else None
        calibration = self._calibration_of(standing.trial)
        if calibration is None or calibration.bound is None:
            return known
        if standing.best_accuracy == -math.inf:  # not one accuracy was a number
            return known
        # A trial keeps its first bound, wrong with probability alpha; of several bounds one would
        # be wrong more often.
        bound = self._bounds.setdefault(standing.trial, calibration.bound)
        return min(bound.upper(standing.progress, standing.best_accuracy), standing.upper)

    def completed(
        self,
        trial: str,
        costs: tuple[float, ...],
        accuracy: float | None,
        curve: Sequence[tuple[float, float]],
    ) -> None:
        """Record a trial that ended: its final costs and accuracy, (progress, accuracy) by epoch.

        An accuracy of None or NaN means that the trial diverged; it joins neither the front nor the
        calibration.
        """
        self._bounds.pop(trial, None)
        stop = self._unheeded.pop(trial, None)
        accuracy = math.nan if accuracy is None else accuracy
        if stop is not None:
            self.judged += 1
            self.false_stops += accuracy > stop.dominated_by.accuracy + stop.delta
        if math.isnan(accuracy):
            return
        calibration = self._calibration_of(trial)
        if calibration and accuracy > calibration.most:
            self._without_most()
        if calibration and (calibration.bound is None or self.is_audited(trial)):
            calibration.learn(curve, accuracy)
        self.front.add(Completed(trial, costs, accuracy))

    def _calibration_of(self, trial: str) -> Calibration | None:
        """The calibration of the trial's group; None without an alpha."""
        if self.alpha is None:
            return None
        group = self.group_of.get(trial)
        if group not in self.calibrations:
            self.calibrations[group] = Calibration(self.alpha, self.most, self.least_scale)
        return self.calibrations[group]

    def _without_most(self) -> None:
        """A completed trial is above the largest possible accuracy, as where losses are negative:
        from now on there is none.
        """
        self.most = math.inf
        for calibration in self.calibrations.values():
            calibration.most = math.inf
            if calibration.bound is not None:
                calibration.bound = replace(calibration.bound, most=math.inf)
        self._bounds = {n: replace(bound, most=math.inf) for n, bound in self._bounds.items()}
