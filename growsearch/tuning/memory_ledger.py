"""The ledger of a replayed search, which stays in memory."""

from typing import Any

from growsearch.searches.ledger import Ledger, SearchTrial
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import EpochRecord, History


class MemoryLedger(Ledger):
    """A ledger that writes nothing."""

    def __init__(self) -> None:
        self.trials: dict[str, SearchTrial] = {}
        self.paid: dict[str, float] = {}
        self._written: dict[str, float] = {}

    def results(self, histories: Any = None) -> Any:
        return iter(())

    def read_histories(self) -> dict[str, History]:
        return {}

    def add(self, config: TrialConfig) -> SearchTrial:
        trial = SearchTrial(self.next_name, config)
        self.trials[trial.name] = trial
        return trial

    def _count(self, trial: SearchTrial, record: EpochRecord) -> None:
        pass

    def _write(self, trial: SearchTrial) -> None:
        pass

    def _log(self, **line: Any) -> None:
        pass
