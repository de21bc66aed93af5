"""Stops the trials of any trainable of Ray Tune that cannot reach the front of metric and cost."""

import math
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from growsearch.stopping.reported import Reported, ReportedStopping
from growsearch.stopping.safe import Completed, SafeStopping, Stop
from growsearch.trial.errors import InputError
from growsearch.tuning.experiment_log import ExperimentLog
from growsearch.tuning.ray_private import last_result, own_keys
from growsearch.tuning.result_reader import Bound, Result, ResultReader

FILE = "pareto_scheduler.jsonl"
"""In the experiment's folder: what the scheduler was told and has decided."""


class ParetoScheduler(FIFOScheduler):
    """A scheduler of Tune for two or more objectives: a metric, and what it costs to reach it.

    A trial stops when a completed one costs no more than it must cost in the end, and has at least
    the metric that it may come to. What counts is the metric of a trial's last result. For example:

    >>> ParetoScheduler(metric="accuracy", mode="max", cost="joules", max_t=100)

    Every result must have these keys:
    - `metric`, of which `mode` says whether "max" or "min" is best; both may be left to TuneConfig.
      A metric that is no finite number is as good as none: it never dominates.
    - `cost`, one key or several: what the trial has cost so far, in any unit. It never falls.
    - `time_attr`, by which trials advance. They end at `max_t` at the latest.

    What a trial must cost in the end:
    - `lower_bound(result)`, if given: one number, or for several costs one for each.
    - With `rate_never_falls`, the cost so far, and the last rate times the time that is left.
      Trials must then run until `max_t`.
    - Otherwise the cost so far.
    A trial that ends below its bound is reported by a warning.

    The metric that a trial may come to is the tightest of these:
    - `upper_bound(result)`, if given; for mode "min", it is the lowest value.
    - `best_metric`, the best possible value, like 1.0 or 100.
    - What trials that ran to their end show: the best value so far and a gain, which one trial
      exceeds with probability `alpha` at most (see stopping/safe.py for premises). Nothing is
      stopped before there are about 1.5 / alpha such trials. With alpha=None it is not used, and
      only trials stop that are certainly dominated.

    `delta` is what the front may lose of the metric. A share `audit` of the trials, drawn by
    `seed`, runs to its end whatever happens, to learn and to check the bound.

    Trials are never paused, so trainables need no checkpoints. What the scheduler knows is in the
    experiment's folder, from which `Tuner.restore` continues as if nothing had happened. Use one
    scheduler for one experiment. Raises InputError for options that do not fit, and for results
    without these keys or with a cost that falls, which end the search.
    """

    def __init__(
        self, *, cost: str | Sequence[str], max_t: float, metric: str | None = None,
        mode: str | None = None, time_attr: str = "training_iteration",
        lower_bound: Bound | None = None, rate_never_falls: bool = False,
        upper_bound: Bound | None = None, best_metric: float | None = None,
        alpha: float | None = 0.1, delta: float = 0.0, audit: float = 0.1, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.costs = (cost,) if isinstance(cost, str) else tuple(cost)
        if not self.costs or len(set(self.costs)) < len(self.costs):
            raise InputError(f"cost={cost!r} must be a key of results, or several different ones")
        if (metric is None) != (mode is None):
            raise InputError(
                f"metric={metric!r} and mode={mode!r} belong together; give both here, or both to "
                "TuneConfig"
            )
        if not 0 < max_t < math.inf:
            raise InputError(f"max_t={max_t} must be a finite {time_attr} above 0")
        if lower_bound is not None and rate_never_falls:
            raise InputError("lower_bound and rate_never_falls both bound the cost; give one")
        if best_metric is not None and not math.isfinite(best_metric):
            raise InputError(f"best_metric={best_metric} must be a finite number; or leave it out")
        if alpha is None and best_metric is None and upper_bound is None:
            raise InputError(
                "alpha=None learns nothing, so no trial would stop; give best_metric or upper_bound"
            )
        self.objective, self.mode, self.time_attr, self.max_t = metric, mode, time_attr, max_t
        self.lower_bound, self.rate_never_falls = lower_bound, rate_never_falls
        self.upper_bound, self.best_metric = upper_bound, best_metric
        self._options: dict[str, Any] = {
            "alpha": alpha, "delta": delta, "audit": audit, "seed": seed
        }  # fmt: skip
        SafeStopping(**self._options)  # raises InputError for them
        if mode is not None:
            _check_mode(mode)
        self._name = uuid.uuid4().hex
        self._stopping: ReportedStopping | None = None
        self._log: ExperimentLog | None = None

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Tune tells what TuneConfig has."""
        if self.objective is None:
            self.objective, self.mode = metric, mode
        return super().set_search_properties(metric, mode, **spec)

    @property
    def front(self) -> list[Completed]:
        """The completed trials that no other dominates; for mode "min" accuracy is the negative."""
        return self._stopping.front if self._stopping else []

    @property
    def stops(self) -> dict[str, Stop]:
        """By trial, why it was stopped."""
        return self._stopping.stops if self._stopping else {}

    def on_trial_add(self, controller: Any, trial: Trial) -> None:
        if self._stopping is None:
            self._begin(trial)
        if self.stopping.add(trial.trial_id):
            self._write("add", trial=trial.trial_id)
        if trial.status == Trial.TERMINATED:
            # after Tuner.restore, whose snapshot may be a moment newer than our log
            result = last_result(trial)
            if result.get(self.time_attr, 0) >= self.max_t:
                self._end(trial.trial_id, result)

    def on_trial_result(self, controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        name, time = trial.trial_id, self.reader.time(trial.trial_id, result)
        if self.stopping.is_new(name, time):
            stop = self._tell(self.reader.read(name, result))
        else:  # a trial that starts again
            stop = self.stopping.decision(name, time)
            if self.stopping.is_last(name, time):
                costs = self.reader.read(name, result).costs
                self.stopping.measured_again(name, costs)
                self._write("again", trial=name, costs=costs)
        return self.CONTINUE if stop is None and time < self.max_t else self.STOP

    def on_trial_complete(self, controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        self._end(trial.trial_id, result)

    def debug_string(self) -> str:
        """A line for Tune's status report."""
        if self._stopping is None:
            return "ParetoScheduler"
        safe = self._stopping.safe
        return (
            f"ParetoScheduler: {len(safe.front.members)} trials on the front, {len(self.stops)} "
            f"stopped; audit: {safe.false_stops} of {safe.judged} would have been stopped wrongly"
        )

    @property
    def stopping(self) -> ReportedStopping:
        """What decides; it is there from the experiment's first trial on."""
        assert self._stopping, "Tune adds a trial first"
        return self._stopping

    def _end(self, trial: str, result: Result) -> None:
        if self.stopping.is_stopped(trial) or not own_keys(result):
            return
        if self.stopping.is_new(trial, self.reader.time(trial, result)):
            self._tell(self.reader.read(trial, result), final=True)
        if self.stopping.ended(trial):
            self._write("end", trial=trial)

    def _tell(self, reported: Reported, final: bool = False) -> Stop | None:
        stop = self.stopping.result(reported, final=final)
        self._write("result", final=final, **asdict(reported))
        if stop is not None:
            self._write("stop", trial=reported.trial, reason=str(stop))
        return stop

    def _begin(self, trial: Trial) -> None:
        """With the experiment's first trial: tell once more what an interrupted run was told."""
        if self.objective is None or self.mode is None:
            raise InputError(
                "ParetoScheduler has no metric; give metric and mode, here or to TuneConfig"
            )
        _check_mode(self.mode)
        self.reader = ResultReader(
            metric=self.objective, mode=self.mode, costs=self.costs, time_attr=self.time_attr,
            best_metric=self.best_metric, lower_bound=self.lower_bound,
            upper_bound=self.upper_bound,
        )  # fmt: skip
        name = self.objective if self.mode == "max" else f"-{self.objective}"
        safe = SafeStopping(**self._options, accuracy=name, most=self.reader.most, least_scale=None)
        self._stopping = ReportedStopping(
            safe, costs=self.costs, max_t=self.max_t, rate_never_falls=self.rate_never_falls
        )
        self._log = ExperimentLog(trial, FILE, self._name)
        for event in self._log.earlier:
            self._retell(**event)

    def _retell(self, event: str, trial: str, **values: Any) -> None:
        values = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        if event == "add":
            self.stopping.add(trial)
        elif event == "result":
            final = values.pop("final")
            self.stopping.result(Reported(trial=trial, **values), final=final)
        elif event == "again":
            self.stopping.measured_again(trial, values["costs"])
        elif event == "end":
            self.stopping.ended(trial)
        # a stop follows from the result before it

    def _write(self, event: str, **values: Any) -> None:
        assert self._log
        self._log.write(event, **values)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_log": None, "_stopping": None}


def _check_mode(mode: str) -> None:
    if mode not in ("max", "min"):
        raise InputError(f"mode={mode!r} must be 'max' or 'min'")
