"""A trial's path through an epoch store: the keys of its epochs, and its stored states."""

import uuid
from dataclasses import dataclass, field, replace
from typing import Any

from growsearch.epochs.claims import Claim, holder
from growsearch.epochs.kept_networks import KeptNetworks
from growsearch.epochs.keys import epoch_key, growth_key, moved_key
from growsearch.epochs.store import RECORDS, STATES, EpochStore
from growsearch.growth.constants import LipschitzConstants
from growsearch.machine.memory import is_out_of_memory
from growsearch.tasks.task import Task
from growsearch.training.epoch import Measured, lipschitz_details, retrain
from growsearch.training.growth import prepare_epoch
from growsearch.training.state import TrainState
from growsearch.trial.architecture import Architecture
from growsearch.trial.history import EpochRecord, History, check_values
from growsearch.trial.rates import Rates, rates

_GROWTH = (
    "grown_val_loss", "grown_val_accuracy", "temporal_error", "functional_difference",
    "temporal_bound", "growth_seconds",
)  # fmt: skip


@dataclass
class Branch:
    """The keys of a trial's epochs, and access to those that `store` has; `store` may be None.

    `kept` says which states stay in the store: "all"; "last", the state after the last epoch only;
    or "forks", also the states before a growth, fine-tuning, or the decay of a learning rate
    (`TrialPath.parts`), because other trials may go another way there.
    """

    store: EpochStore | None
    task: Task
    tip: str
    """The next epoch's parent key: of the root, the last epoch, or the growth after that epoch."""
    kept: str = "forks"
    by: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Name of this trial. An epoch counts as reused only if another trial trained it."""
    networks: KeptNetworks | None = None
    """Where the networks of the trial's best and last epoch stay, besides the store."""

    def __post_init__(self) -> None:
        self.keys: list[str] = []
        """Keys of the epochs so far, in order."""
        self.root = self.last_root = self.tip
        """Root keys of the next epochs, and of the last one."""
        self._claim = Claim(self.store) if self.store else None
        self.config = self.task.trial
        self._temporary: str | None = None
        """Key of the last stored state, if it is to be dropped once the next one is stored."""

    def follow(self, history: History, architecture: Architecture, root: str) -> None:
        """Moves to the end of `history`; the network then has `architecture`.

        `root` is the root key of its last epoch. If it is not this trial's root key, the keys of
        the next epochs depend on both.
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
        """Whether the last epoch was trained with another configuration, data or arithmetic."""
        return self.last_root != self.root

    def next_key(self, phase: str, taken: Rates) -> str:
        """Store key of the next epoch."""
        return epoch_key(self.tip, phase, taken, self.config)

    def awaited(self, phase: str, taken: Rates) -> tuple[str, str] | None:
        """The key of the next epoch and the process that is training it; None if none is.

        None means that the store has the epoch, or that this trial has now claimed it. A trial
        that has to wait gives up its claim, so that two trials never wait for each other.
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
        """Gives up the claim of this trial."""
        if self._claim is not None:
            self._claim.release()

    def recall(self, phase: str, taken: Rates) -> Measured | None:
        """Moves to the next epoch; returns its record and constants, or None if not stored."""
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
        self, record: EpochRecord, constants: LipschitzConstants | None, state: TrainState
    ) -> None:
        """Stores the last epoch, which has just been trained."""
        if self.store is None:
            return
        kept = self.store.keep(self.tip, state.contents())
        entry = record.to_dict() | {
            "lipschitz_by_layer": constants.by_layer if constants else None, "by": self.by
        }  # fmt: skip
        self.store.remember(self.tip, entry)
        if kept:
            if self._temporary is not None and self.kept != "all":
                self.store.drop(self._temporary)
            self._temporary = self.tip
        self.store.trim()
        if self._claim is not None:
            self._claim.rest()

    def fork(self) -> None:
        """Keeps the state after the last epoch, because other trials may part there."""
        if self.kept != "last":
            self._temporary = None

    def recall_growth(self, record: EpochRecord, architecture: Architecture) -> EpochRecord | None:
        """Moves past a growth; returns `record` with its results, or None if not stored."""
        self.tip = growth_key(self.tip, self.config, architecture)
        entry = self.store.record(self.tip) if self.store else None
        if self.store is None or entry is None:
            return None
        try:
            known = check_values({name: entry[name] for name in _GROWTH})
        except (KeyError, ValueError) as error:
            self.store.refuse(RECORDS, self.tip, error)
            return None
        seconds = record.seconds + known["growth_seconds"]
        return replace(record, grew=True, seconds=seconds, **known)

    def remember_growth(self, record: EpochRecord) -> None:
        """Stores the results of the last growth, which `record` has."""
        if self.store is not None:
            self.store.remember(self.tip, {name: getattr(record, name) for name in _GROWTH})

    def state_after(self, state: TrainState, history: History) -> TrainState:
        """The state after the last epoch of `history`, before the growth or phase that follows.

        It is loaded from the store, or else trained again from the newest state there is: an
        earlier one in the store, or `state`, which is prepared for the epoch after its history.
        `state` may be changed.
        """
        n, ready = len(state.history), True
        for k in range(len(history), n, -1):
            contents = self.store.state(self.keys[k - 1]) if self.store else None
            known = self._restored(contents, History(history[: k - 1])) if contents else None
            if known is not None:
                state, n, ready = known, k, False
                break
        for k in range(n, len(history)):
            if not ready:
                architecture = Architecture(history[k].architecture)
                state = prepare_epoch(
                    state, History(history[:k]), history[k].phase, architecture, self.task
                )
            planned = rates(self.config, History(history[:k]), history[k].phase)
            taken = planned.taken(self.task.steps)
            retrain(state, taken, self.task)
            if self.networks is not None:
                self.networks.retrained(history, k + 1, state.network)
            ready = False
        return state

    def _restored(self, contents: dict[str, Any], history: History) -> TrainState | None:
        """The stored state after the epoch that follows `history`; None if it does not fit."""
        try:
            return TrainState.restored(contents, history, self.task)
        except (RuntimeError, TypeError, ValueError, KeyError, AttributeError) as error:
            if is_out_of_memory(error) or self.store is None:
                raise
            self.store.refuse(STATES, self.keys[len(history)], error)
            return None


def remembered(store: EpochStore, key: str, by: str) -> Measured | None:
    """The stored epoch of `key`, or None. It counts as reused unless `by` has trained it.

    An entry that is whole but no epoch, such as another version's, is removed.
    """
    entry = store.record(key)
    if entry is None:
        return None
    try:
        by_layer, reused = entry.pop("lipschitz_by_layer"), entry.pop("by") != by
        constants = LipschitzConstants(by_layer) if by_layer is not None else None
        if constants is not None and not all(isinstance(c, int | float) for c in constants.layers):
            raise ValueError("a Lipschitz constant is no number")
        return EpochRecord(**check_values(entry) | {"reused": reused}), constants
    except (KeyError, TypeError, ValueError) as error:
        store.refuse(RECORDS, key, error)
        return None
