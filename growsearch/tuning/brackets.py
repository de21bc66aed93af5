"""Tune's HyperBand, over the ledger of a search."""

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import HyperBandScheduler, TrialScheduler

from growsearch.searches.ledger import Ledger
from growsearch.searches.messages import trial_name
from growsearch.trial.status import Status


class Brackets(HyperBandScheduler):
    """Tune's HyperBand, which pauses trials itself; the ledger is told."""

    def __init__(self, ledger: Ledger, **options: Any) -> None:
        super().__init__(**options)
        self.ledger = ledger

    def on_trial_result(self, controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        decision: str = super().on_trial_result(controller, trial, result)
        if decision == TrialScheduler.PAUSE:
            reason = "until its bracket has come as far"
            self.ledger.leave(trial_name(trial.config), Status.PAUSED, reason)
        return decision
