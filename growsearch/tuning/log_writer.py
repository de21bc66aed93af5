"""Logs that one of Tune's callbacks writes."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from growsearch.searches.kinds import LogWriter
from growsearch.trial.history import EpochRecord

if TYPE_CHECKING:
    from growsearch.searches.ledger import SearchTrial
    from growsearch.tuning.ray_private import LoggedTrial


class CallbackWriter(LogWriter):
    """Writes by Tune's `callback`, for the search `owner`, into `folder`."""

    callback: Any

    def __init__(self, folder: Path, owner: str) -> None:
        self.folder = folder
        self.owner = owner

    def run(self, trial: "SearchTrial") -> "LoggedTrial":
        return logged(trial, f"{self.owner}-{trial.name}", self.folder)

    def start(self, run: "LoggedTrial") -> None:
        self.callback.log_trial_start(run)

    def step(self, run: "LoggedTrial", record: EpochRecord) -> None:
        values = {"training_iteration": record.epoch, **scalars(record)}
        self.callback.log_trial_result(record.epoch, run, values)

    def end(self, run: "LoggedTrial", failed: bool) -> None:
        self.callback.log_trial_end(run, failed)


def logged(trial: "SearchTrial", run_id: str, folder: Path) -> "LoggedTrial":
    """The trial as Tune's callbacks read it."""
    from growsearch.tuning.ray_private import LoggedTrial

    known = trial.config.to_flat()
    config = {name: value for name, value in known.items() if value is not None}
    return LoggedTrial(trial.name, run_id, folder, config)


def scalars(record: EpochRecord) -> dict[str, float]:
    """The numbers of a record, but the epoch, which is the step."""
    values = {name: value for name, value in asdict(record).items() if name != "epoch"}
    return {name: value for name, value in values.items() if isinstance(value, int | float)}
