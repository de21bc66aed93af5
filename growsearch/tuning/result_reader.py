"""What a scheduler reads of a result of Tune: metric, costs, time, and bounds that users state."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from growsearch.stopping.reported import Reported
from growsearch.trial.errors import InputError
from growsearch.tuning.ray_private import own_keys

Bound = Callable[[dict[str, Any]], Any]
Result = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ResultReader:
    """Reads results, whose keys and bounds are those of ParetoScheduler."""

    metric: str
    mode: str
    costs: tuple[str, ...]
    time_attr: str
    best_metric: float | None
    lower_bound: Bound | None
    upper_bound: Bound | None

    @property
    def sign(self) -> float:
        """Times the metric: of the product more is better."""
        return 1.0 if self.mode == "max" else -1.0

    @property
    def most(self) -> float:
        """The largest possible product."""
        return math.inf if self.best_metric is None else self.sign * self.best_metric

    def time(self, trial: str, result: Result) -> float:
        """How far the trial has come."""
        return self._number(trial, self.time_attr, result)

    def read(self, trial: str, result: Result) -> Reported:
        """All of a result. Raises InputError for one without a key or with no number there."""
        value = self.sign * self._number(trial, self.metric, result)
        if math.isfinite(value) and value > self.most:
            raise InputError(
                f"trial {trial} reported {self.metric}={self.sign * value:g}, beyond "
                f"best_metric={self.best_metric:g}; give the best value that there can be"
            )
        lower, upper = None, self.most
        if self.upper_bound is not None:
            [bound] = _call("upper_bound", self.upper_bound, trial, result, 1)
            upper = min(upper, self.sign * bound)
        if self.lower_bound is not None:
            lower = _call("lower_bound", self.lower_bound, trial, result, len(self.costs))
        return Reported(
            trial=trial,
            time=self.time(trial, result),
            accuracy=value if math.isfinite(value) else None,
            costs=tuple(self._number(trial, cost, result) for cost in self.costs),
            lower=lower,
            upper=upper if upper < math.inf else None,
        )

    def _number(self, trial: str, key: str, result: Result) -> float:
        if key not in result:
            raise InputError(
                f"trial {trial} reported no {key!r}; report it with every result, or name another "
                f"key to ParetoScheduler; the result has {', '.join(own_keys(result)) or 'none'}"
            )
        try:
            return float(result[key])
        except (TypeError, ValueError) as error:
            raise InputError(
                f"trial {trial} reported {key}={result[key]!r}; report a number"
            ) from error


def _call(name: str, bound: Bound, trial: str, result: Result, count: int) -> tuple[float, ...]:
    found = bound(dict(result))
    try:
        numbers = tuple(map(float, found if isinstance(found, Sequence) else [found]))
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != count or any(map(math.isnan, numbers)):
        wanted = "a number" if count == 1 else f"{count} numbers"
        raise InputError(f"{name} returned {found!r} for trial {trial}; return {wanted}")
    return numbers
