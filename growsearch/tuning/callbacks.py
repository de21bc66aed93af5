"""What the driver does with the epochs that trials report: write them down."""

from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from growsearch.tuning.ledger import Ledger


class StudyWriter(tune.Callback):
    """Enters each epoch in the ledger, also those of which Tune tells the queue nothing."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        self.ledger.enter(trial.config["name"], result)
