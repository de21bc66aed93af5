"""What the driver does with the epochs that trials report: write them, show them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from growsearch.config import TrialConfig
from growsearch.history import History, record_among
from growsearch.results import forget_trial, write_trial
from growsearch.tuning.awaited import AWAITS


class StudyWriter(tune.Callback):
    """Writes a trial's file anew at each of its epochs, so that a kill loses none.

    A trial that leaves its actor to wait has no file until it starts again, under another name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.histories: dict[str, History] = {}
        self.completed: list[str] = []

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        if AWAITS in result:
            self.histories.pop(trial.trial_id, None)
            forget_trial(self.folder, trial.trial_id)
            return
        history = self.histories.get(trial.trial_id, History())
        self._write(trial, history.plus(record_among(result)))

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        if trial.trial_id in self.histories:
            self.completed.append(trial.trial_id)

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        history = self.histories.get(trial.trial_id)
        if history:
            failed = replace(history[-1], status="failed")
            self._write(trial, History((*history[:-1], failed)))

    def _write(self, trial: Trial, history: History) -> None:
        self.histories[trial.trial_id] = history
        config = TrialConfig.from_flat(trial.config["trial"])
        write_trial(self.folder, trial.trial_id, config, history)
