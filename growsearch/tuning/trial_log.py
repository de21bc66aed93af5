"""Writes a search to a log such as TensorBoard: a run for each trial, a step for each epoch."""

import logging
from collections.abc import Callable
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from growsearch.searches.kinds import Log
from growsearch.searches.ledger import Ledger
from growsearch.searches.messages import trial_name
from growsearch.trial.errors import InputError, one_line
from growsearch.trial.history import History
from growsearch.trial.status import Status

_LOG = logging.getLogger("growsearch")


class TrialLog(tune.Callback):
    """Writes the epochs of the search of `ledger` to `log`.

    One trial can be several trials of Tune, and one result can hold several epochs. So Tune's own
    logger callbacks are called from here, once for each trial and epoch. The study's folder has a
    list of the trials that are completely in the log. A resumed search logs all others again, and
    also what was trained before the log was chosen. If the log raises an error, it is not used any
    more in this run. Raises InputError if it cannot start.
    """

    def __init__(self, log: Log, ledger: Ledger, owner: str) -> None:
        self.log = log
        self.ledger = ledger
        self.owner = owner
        self.marks = ledger.folder / f"{log.name}.logged"
        self.runs: dict[str, Any] = {}
        """The open runs, by the names of their trials."""
        self.steps: dict[str, int] = {}
        """The number of epochs of each trial that are in the log."""
        self.failed = False

    def setup(self, *args: Any, **info: Any) -> None:
        # made here, not in __init__: the Tuner pickles its callbacks
        try:
            self.writer = self.log.writer(self.ledger.folder, self.owner)
        except Exception as error:  # servers and logins raise many types
            raise InputError(
                f"log {self.log.name!r} cannot start ({one_line(error)}); mend its "
                "settings and go on with growsearch resume"
            ) from error
        self._try(self._take_over)

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._try(self._open, trial_name(trial.config))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        entry = self.ledger.trials[trial_name(trial.config)]
        self._try(self._follow, entry.name, entry.history)

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._try(self._left, trial_name(trial.config))

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._try(self._left, trial_name(trial.config))

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        self._try(self._close)

    def _try(self, work: Callable[..., object], *arguments: Any) -> None:
        if self.failed:
            return
        try:
            work(*arguments)
        except Exception as error:
            self.failed = True
            _LOG.warning(
                "log %r has failed (%s); growsearch resume writes what it lacks",
                self.log.name,
                one_line(error),
            )

    def _take_over(self) -> None:
        """Logs the trials of earlier runs that are not completely in the log."""
        complete = set(self.marks.read_text().split()) if self.marks.exists() else set()
        for name, history in self.ledger.read_histories().items():
            if name not in complete or not self.ledger.trials[name].status.ended:
                self.writer.forget(self.writer.run(self.ledger.trials[name]))
                self._follow(name, history)
                self._left(name)

    def _open(self, name: str) -> Any:
        if name not in self.runs:
            self.runs[name] = self.writer.run(self.ledger.trials[name])
            self.writer.start(self.runs[name])
        return self.runs[name]

    def _follow(self, name: str, history: History) -> None:
        run, known = self._open(name), self.steps.get(name, 0)
        for record in history:
            if record.epoch > known:
                self.writer.step(run, record)
                self.steps[name] = record.epoch

    def _left(self, name: str) -> None:
        """Closes the trial's run if the trial has ended, or if the log closes resting runs."""
        trial = self.ledger.trials[name]
        if not trial.status.ended:
            if name in self.runs and self.writer.rest(self.runs[name]):
                del self.runs[name]
            return
        self.writer.end(self._open(name), failed=trial.status is Status.FAILED)
        del self.runs[name]
        with self.marks.open("a") as file:
            file.write(f"{name}\n")

    def _close(self) -> None:
        self.writer.close(list(self.runs.values()))
        self.runs.clear()
