"""A trial's way as its policy sees it: what it does next after the epochs known so far."""

from dataclasses import MISSING, fields, replace
from typing import Any

from growsearch.policies.decide import decide
from growsearch.schedules.rates import rates
from growsearch.trial.choices import GROWING, NETWORKS
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import INITIALIZING, TRAINING, EpochRecord, History
from growsearch.trial.phases import Grow, completes, next_phase
from growsearch.trial.status import Status

_NOTHING: dict[str, Any] = {
    f.name: f.type() if isinstance(f.type, type) else None
    for f in fields(EpochRecord)
    if f.default is MISSING
}
BLANK = EpochRecord(
    **_NOTHING
    | {"lipschitz": 1e-30, "lipschitz_subnetworks": (1e-30,) * max(NETWORKS.values())}
    | {"train_accuracy": 100.0}
)
"""An epoch in which LipGrow sees no reason, and after which new blocks are initialized."""


class TrialPath:
    """A trial's way through the tree of epochs, as far as it is known."""

    def __init__(self, config: TrialConfig) -> None:
        self.config = config
        self.history = History()
        self.phase, self.architecture = TRAINING, config.architecture
        self.grew: tuple[str, ...] | None = None
        """The growth after the last epoch: to what, and how."""
        self.ended = False

    def extend(self, record: EpochRecord) -> None:
        """One epoch more, of which another trial's `record` may tell: the policy is this one's."""
        record = replace(
            record,
            phase=self.phase,
            architecture=self.architecture,
            grew=False,
            status=Status.RUNNING,
        )
        history = self.history.plus(record)
        self.ended = completes(self.config, history)
        decision = None if self.ended else decide(self.config, history)
        self.grew = None
        if isinstance(decision, Grow):
            self.architecture = str(decision.architecture)
            options = (str(getattr(self.config, name)) for name in GROWING)
            self.grew = (self.architecture, *options)
            history = history.revised(grew=True)
        self.history = history
        self.phase = next_phase(self.config, history, decision)

    def next_epoch(self) -> tuple[object, ...]:
        """What the next epoch adds to the last one; equal for trials that share it."""
        taken = rates(self.config, self.history, self.phase)
        return self.grew, taken, self.phase == INITIALIZING
