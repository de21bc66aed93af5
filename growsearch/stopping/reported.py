"""When to stop trials that report a metric and cumulative costs, whatever they train.

Trials and their results come one after the other; the same ones in the same order give the same
decisions. So a search that was interrupted goes on by telling its results once more.
"""

import logging
import math
from dataclasses import dataclass, replace

from growsearch.stopping.following import Following
from growsearch.stopping.safe import Completed, SafeStopping, Stop
from growsearch.trial.errors import InputError

_LOG = logging.getLogger("growsearch")
_ROUNDING = 1e-6
"""By this share a final cost may be below its bound before the bound counts as wrong."""


@dataclass(frozen=True, kw_only=True)
class Reported:
    """A result of a trial."""

    trial: str
    time: float
    accuracy: float | None
    """The metric, of which more is better; None if it is no finite number."""
    costs: tuple[float, ...]
    """Cost so far, of each kind."""
    lower: tuple[float, ...] | None = None
    """Lower bounds of the final costs, if the user states them."""
    upper: float | None = None
    """An upper bound of the final accuracy, if the user states one."""


@dataclass
class _Trial:
    name: str
    """Its number, in the order of arrival: it decides who is audited, as ids are random."""
    last: Reported | None = None
    claimed: tuple[float, ...] = ()
    """The largest lower bounds of its final costs so far."""
    claimed_upper: float = math.inf
    """The least upper bound of its final accuracy that the user stated."""
    stop: Stop | None = None
    ended: bool = False


class ReportedStopping:
    """Has `safe` judge trials by their results, until `max_t`.

    `costs` are names for messages. With `rate_never_falls`, the cost that is left is at least the
    last rate times the time that is left.
    """

    def __init__(
        self, safe: SafeStopping, *, costs: tuple[str, ...], max_t: float, rate_never_falls: bool
    ) -> None:
        self.safe, self.costs, self.max_t = safe, costs, max_t
        self.rate_never_falls = rate_never_falls
        self._curves = Following(safe)
        self._trials: dict[str, _Trial] = {}
        self._ids: dict[str, str] = {}
        """The ids of trials, by name."""
        self._warned = False

    def add(self, trial: str) -> bool:
        """A trial arrives; False if it is known."""
        if trial in self._trials:
            return False
        name = f"{len(self._trials):05d}"
        self._trials[trial], self._ids[name] = _Trial(name), trial
        return True

    def is_new(self, trial: str, time: float) -> bool:
        """Whether the trial has reported nothing of this time or a later one.

        A trial that starts again, from a checkpoint or from nothing, reports what is known.
        """
        last = self._trials[trial].last
        return last is None or time > last.time

    def result(self, new: Reported, *, final: bool = False) -> Stop | None:
        """Why the trial is to stop after this new result; None if it goes on.

        After its `final` result there is nothing to stop. Raises InputError if a cost is no finite
        number or falls.
        """
        trial = self._trials[new.trial]
        self._check(new, trial.last)
        lower = self._lower(new, trial.last)
        trial.claimed = tuple(map(max, lower, trial.claimed or lower))
        upper = math.inf if new.upper is None else new.upper
        trial.claimed_upper = min(upper, trial.claimed_upper)
        trial.last = new
        accuracy = math.nan if new.accuracy is None else new.accuracy
        self._curves.add(trial.name, min(new.time / self.max_t, 1.0), accuracy)
        if final:
            return None
        stop = self._curves.verdict(trial.name, lower, upper)
        trial.stop = stop and self._with_ids(stop)
        return trial.stop

    def is_last(self, trial: str, time: float) -> bool:
        """Whether this is the time of the trial's newest result, and the trial goes on."""
        known = self._trials[trial]
        return bool(known.last and time == known.last.time and not known.stop and not known.ended)

    def measured_again(self, trial: str, costs: tuple[float, ...]) -> None:
        """The trial has started again; its newest known result now has these costs."""
        known = self._trials[trial]
        assert known.last
        known.last = replace(known.last, costs=costs)

    def decision(self, trial: str, time: float) -> Stop | None:
        """What was decided of the trial until then."""
        known = self._trials[trial]
        return known.stop if known.last and time >= known.last.time else None

    def is_stopped(self, trial: str) -> bool:
        """Whether the trial was stopped."""
        return self._trials[trial].stop is not None

    def ended(self, trial: str) -> bool:
        """The trial has come to its end by itself; False if it was stopped, or has no result."""
        known = self._trials[trial]
        if known.stop or known.ended or known.last is None:
            return False
        known.ended = True
        self._curves.ended(known.name, known.last.costs, known.last.accuracy)
        self._check_claims(known)
        return True

    @property
    def front(self) -> list[Completed]:
        """The completed trials that no other dominates."""
        return [replace(m, trial=self._ids[m.trial]) for m in self.safe.front.members]

    @property
    def stops(self) -> dict[str, Stop]:
        """The trials that were stopped, and why."""
        return {trial: known.stop for trial, known in self._trials.items() if known.stop}

    def _with_ids(self, stop: Stop) -> Stop:
        other = stop.dominated_by
        other = replace(other, trial=self._ids[other.trial])
        return replace(stop, trial=self._ids[stop.trial], dominated_by=other)

    def _check(self, new: Reported, last: Reported | None) -> None:
        before = last.costs if last else (0.0,) * len(self.costs)
        for name, cost, least in zip(self.costs, new.costs, before, strict=True):
            if not math.isfinite(cost):
                raise InputError(
                    f"trial {new.trial} reported {name}={cost}; report a cost that is a finite "
                    "number"
                )
            if cost < least:
                raise InputError(
                    f"trial {new.trial} reported {name}={cost:g} after {least:g}; report the cost "
                    "of all of the trial so far, which cannot fall"
                )

    def _lower(self, new: Reported, last: Reported | None) -> tuple[float, ...]:
        if new.lower is not None:
            return tuple(map(max, new.lower, new.costs))
        if not self.rate_never_falls or new.time <= 0:
            return new.costs
        left = max(self.max_t - new.time, 0.0)
        since, before = (last.time, last.costs) if last else (0.0, (0.0,) * len(new.costs))
        return tuple(
            now + (now - then) / (new.time - since) * left
            for now, then in zip(new.costs, before, strict=True)
        )

    def _check_claims(self, trial: _Trial) -> None:
        last = trial.last
        assert last
        pairs = zip(last.costs, trial.claimed, strict=True)
        below = any(cost < bound * (1 - _ROUNDING) for cost, bound in pairs)
        above = last.accuracy is not None and last.accuracy > trial.claimed_upper
        if (below or above) and not self._warned:
            self._warned = True
            wrong, bound = (
                (f"{', '.join(self.costs)} below", "lower_bound or rate_never_falls")
                if below else ("a metric beyond", "upper_bound")
            )  # fmt: skip
            _LOG.warning(
                "trial %s ended with %s its bound: %s is wrong, or the trial ended before max_t; "
                "trials may have been stopped wrongly", last.trial, wrong, bound,
            )  # fmt: skip
