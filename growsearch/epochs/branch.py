"""A trial's path through an epoch store: which of its epochs are remembered, and how to go on."""

import uuid
from dataclasses import dataclass, field, replace

import torch

from growsearch.epochs.claims import Claim, holder
from growsearch.epochs.keys import epoch_key, growth_key, moved_key
from growsearch.epochs.store import RECORDS, EpochStore
from growsearch.growth.lipschitz import LipschitzConstants
from growsearch.schedules.rates import Rates, rates
from growsearch.tasks.images.dataset import Dataset
from growsearch.training.epoch import lipschitz_details, retrain
from growsearch.training.growth import prepare_epoch
from growsearch.training.state import TrainState
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import EpochRecord, History, with_tuples

Measured = tuple[EpochRecord, LipschitzConstants]
_GROWTH = (
    "grown_val_loss", "grown_val_accuracy", "temporal_error", "functional_difference",
    "temporal_bound", "growth_seconds",
)  # fmt: skip


@dataclass
class Branch:
    """The keys of the trial's epochs, and what `store`, if there is one, knows of them.

    `kept` says which states stay: "all"; "forks", those before a growth or the begin of
    fine-tuning, where another trial may go on otherwise, and the last; or the "last" alone.
    """

    store: EpochStore | None
    config: TrialConfig
    dataset: Dataset
    device: torch.device
    tip: str
    """What the next epoch hangs on: the root, the last epoch, or the growth after it."""
    kept: str = "forks"
    by: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Who trains: epochs remembered from the same are not reused, only gone through again."""

    def __post_init__(self) -> None:
        self.keys: list[str] = []
        """Of the epochs so far, in order."""
        self.root = self.last_root = self.tip
        """Of the epochs to come, and of the last one."""
        self._claim = Claim(self.store) if self.store else None
        self._passing: str | None = None
        """An epoch whose state this trial has kept only to go on from."""

    def follow(self, history: History, architecture: Architecture, root: str) -> None:
        """Go to the end of `history`, after which the network is of `architecture`.

        If its last epoch's root is not this trial's, the epochs to come are others than there.
        """
        if not history:
            return
        self.keys = [record.key for record in history]
        self.tip = self.keys[-1]
        if history[-1].grew:
            self.tip = growth_key(self.tip, self.config, architecture)
        if root != self.root:
            self.tip, self.last_root = moved_key(self.tip, self.root), root

    @property
    def has_moved(self) -> bool:
        """Whether the last epoch was trained with another configuration, or elsewhere."""
        return self.last_root != self.root

    def next_key(self, phase: str, taken: Rates) -> str:
        """Of the next epoch."""
        return epoch_key(self.tip, phase, taken, self.config)

    def awaited(self, phase: str, taken: Rates) -> tuple[str, str] | None:
        """The key of the next epoch and who trains it now; None if it is remembered, or ours.

        Then it is claimed. A trial that has to wait claims nothing, so that no two wait for each
        other.
        """
        if self.store is None or self._claim is None:
            return None
        key = self.next_key(phase, taken)
        if self.store.has(RECORDS, key):
            return None
        who = holder(self.store, key, self.keys[-1] if self.keys else None)
        if who is None and self._claim.move(key):
            return None
        self.release()
        return key, who or "another process"

    def release(self) -> None:
        """Leave the last epoch to others."""
        if self._claim is not None:
            self._claim.release()

    def recall(self, phase: str, taken: Rates) -> Measured | None:
        """The next epoch, if it is remembered; it is the last one from now on."""
        self.tip = self.next_key(phase, taken)
        self.keys.append(self.tip)
        self.last_root = self.root
        known = remembered(self.store, self.tip, self.by) if self.store else None
        if known is None:
            return None
        record, constants = known
        details = lipschitz_details(constants, self.config)
        return replace(record, phase=phase, **details), constants

    def remember(
        self, record: EpochRecord, constants: LipschitzConstants, state: TrainState
    ) -> None:
        """The last epoch, which has just been trained."""
        if self.store is None:
            return
        kept = self.store.keep(self.tip, state.contents())
        entry = record.to_dict() | {"lipschitz_by_layer": constants.by_layer, "by": self.by}
        self.store.remember(self.tip, entry)
        if kept:
            if self._passing is not None and self.kept != "all":
                self.store.drop(self._passing)
            self._passing = self.tip
        self.store.trim()
        if self._claim is not None:
            self._claim.rest()

    def fork(self) -> None:
        """The trial has taken one of several ways after the last epoch: its state is to stay."""
        if self.kept != "last":
            self._passing = None

    def recall_growth(self, record: EpochRecord, architecture: Architecture) -> EpochRecord | None:
        """The record with what a growth after the last epoch does, if that is remembered."""
        self.tip = growth_key(self.tip, self.config, architecture)
        entry = self.store.record(self.tip) if self.store else None
        if entry is None:
            return None
        seconds = record.seconds + entry["growth_seconds"]
        return replace(record, grew=True, seconds=seconds, **with_tuples(entry))

    def remember_growth(self, record: EpochRecord) -> None:
        if self.store is not None:
            self.store.remember(self.tip, {name: getattr(record, name) for name in _GROWTH})

    def state_after(self, state: TrainState, history: History) -> TrainState:
        """The state after the last epoch of `history`, before what was decided there.

        It is loaded, or else trained from the nearest one that can be: an earlier one in the store,
        or `state`, which is ready for the epoch after its own history.
        """
        n, ready = len(state.history), True
        for k in range(len(history), n, -1):
            contents = self.store.state(self.keys[k - 1]) if self.store else None
            if contents is not None:
                state = TrainState.restored(
                    contents, History(history[: k - 1]), self.config, self.dataset, self.device
                )
                n, ready = k, False
                break
        for k in range(n, len(history)):
            if not ready:
                architecture = Architecture(history[k].architecture)
                state = prepare_epoch(
                    state, History(history[:k]), history[k].phase, architecture, self.config,
                    self.dataset,
                )  # fmt: skip
            taken = rates(self.config, History(history[:k]), history[k].phase)
            retrain(state, taken, self.config, self.dataset)
            ready = False
        return state


def remembered(store: EpochStore, key: str, by: str) -> Measured | None:
    """The epoch of `key`, as the trial that trained it recorded it; reused, if it is not `by`."""
    entry = store.record(key)
    if entry is None:
        return None
    constants = LipschitzConstants(entry.pop("lipschitz_by_layer"))
    reused = entry.pop("by") != by
    return replace(EpochRecord(**with_tuples(entry)), reused=reused), constants
