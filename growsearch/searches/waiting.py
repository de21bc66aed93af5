"""Trials that wait, without an actor, for an epoch that another search is training."""

from growsearch.epochs.branch import remembered
from growsearch.epochs.claims import holder
from growsearch.epochs.keys import epoch_key, growth_key
from growsearch.epochs.store import EpochStore
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import History
from growsearch.trial.kinds import Grow
from growsearch.trial.path import TrialPath


class Awaited:
    """A trial that waits for the epoch with store key `key`, the next one after `history`.

    `steps` are those of an epoch, where its rates change within epochs.
    """

    def __init__(
        self, config: TrialConfig, history: History, key: str, steps: int | None = None
    ) -> None:
        self.config = config
        self.history = history
        self.path = TrialPath(config)
        for record in history:
            self.path.follow(record)
        self.before = history[-1].key if history else None
        self.key = key
        self.steps = steps

    def update(self, store: EpochStore) -> bool:
        """Read the trial's next epochs from the store; returns whether the trial must still wait.

        It must wait while its next epoch is not in the store and another trial holds the claim on
        this epoch or on the one before it.
        """
        while epoch := remembered(store, self.key, by=""):
            record, _ = epoch
            self.history = self.history.plus(record)
            self.path.follow(record)
            if self.path.ended:
                return False
            self.before, self.key = self.key, self._next_key()
        return holder(store, self.key, self.before) is not None

    def _next_key(self) -> str:
        path, parent = self.path, self.key
        if isinstance(path.decision, Grow):
            parent = growth_key(parent, self.config, Architecture(path.architecture))
        taken = path.rates.taken(lambda: self.steps)
        return epoch_key(parent, path.phase, taken, self.config)
