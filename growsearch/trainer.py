"""Iterate over a Trainer, get an EpochRecord an epoch."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from growsearch.epochs.branch import Branch
from growsearch.epochs.keys import root_key
from growsearch.epochs.store import EpochStore
from growsearch.growth.lipschitz import LipschitzConstants
from growsearch.machine.memory import is_out_of_memory
from growsearch.machine.processes import ranks
from growsearch.tasks.images.dataset import Dataset
from growsearch.training.auto import resolved
from growsearch.training.epoch import run_epoch, run_growth
from growsearch.training.growth import go_on
from growsearch.training.state import TrainState, read_state
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import EpochRecord, History
from growsearch.trial.kinds import Decision, Grow
from growsearch.trial.path import TrialPath

_POLL_SECONDS = 0.2
_MOVED = "torch, processor, threads, processes or options are others"
_LOG = logging.getLogger("growsearch")


class Trainer(Iterator[EpochRecord]):
    """One trial. Each step of the iteration trains an epoch, and grows the network if it is due.

    >>> for record in Trainer(TrialConfig(epochs=30)):
    ...     print(record.epoch, record.architecture, record.val_accuracy)

    Stopping early is to stop iterating. Equal configurations give equal records on one machine
    and number of threads. Epochs that the `store` remembers are not trained again: their records
    are what training would give, and the same trial started again goes on where it was killed.
    `keep_states` says which states stay there; see Branch. `name` is the trial's in its search:
    what it trained before it was interrupted is its own, not reused. `dataset` is the whole data
    set, if it is loaded already. `saved` is what `read_state` has read, of a trial to go on with.
    Raises InputError if data or device are not there.

    In a process group of torch.distributed the trial is that of all its processes; each trains its
    share of every batch, whose normalization is its own. All have the same records, the first is to
    write them; there is no store then.

    A growth for which memory does not suffice, at once or in the next epoch, ends the trial as
    failed, for `reason`; the epoch before it is whole, and in the store it is one to go on from.
    """

    def __init__(
        self, config: TrialConfig, *, store: EpochStore | None = None, keep_states: str = "forks",
        name: str | None = None, dataset: Dataset | None = None,
        saved: tuple[History, dict[str, Any]] | None = None,
    ) -> None:  # fmt: skip
        if (count := ranks().count) > 1 and store is not None:
            raise InputError(
                f"a trial of {count} processes cannot share epochs; leave out the store, or "
                "train in one"
            )
        setting = resolved(config, dataset)
        self.config, self.dataset, self.device = setting.config, setting.dataset, setting.device
        root = root_key(self.config, self.dataset, self.device)
        self.branch = Branch(store, self.config, self.dataset, self.device, root, keep_states)
        if store and name:
            self.branch.by = f"{name} of {store.owner}"
        self.path = TrialPath(self.config)
        if saved is None:
            self._state = TrainState.initial(self.config, self.dataset, self.device)
        else:
            history, contents = saved
            self._state = TrainState.restored(
                contents, history, self.config, self.dataset, self.device
            )
            saved_root = contents.get("root", root)  # older states have none
            self.branch.follow(history, self._state.architecture, saved_root)
            self.path.resume(history, self._state.phase, str(self._state.architecture))
        self._in_epoch = False
        self.recalled = False
        """Whether the last epoch was remembered, not trained."""
        self.reason: str | None = None
        """Why the trial failed, if it did."""
        self._store_seconds = 0.0

    @property
    def history(self) -> History:
        """The records so far."""
        return self.path.history

    @property
    def decision(self) -> Decision | None:
        """What the policy decided after the last epoch."""
        return self.path.decision

    @classmethod
    def load(cls, path: str | Path) -> "Trainer":
        """A trainer that goes on from what `save` wrote, as if it had never stopped.

        On another kind of machine or number of threads it says that it is not quite as if.
        """
        config, history, contents = read_state(Path(path))
        return cls(config, saved=(history, contents))

    def save(self, path: str | Path) -> None:
        """Write what `load` goes on from; InputError if an epoch was interrupted in its middle."""
        self._check_between_epochs()
        self.state.save(Path(path), self.config, self.branch.last_root)

    def _check_between_epochs(self) -> None:
        if self._in_epoch:
            raise InputError(
                f"epoch {len(self.history) + 1} was interrupted and its weights are half trained; "
                "go on from the last saved state with Trainer.load, or start again"
            )

    @property
    def finished(self) -> bool:
        return self.path.ended

    @property
    def state(self) -> TrainState:
        """The state before the next epoch; made ready first, if the last ones were remembered."""
        if len(self._state.history) < len(self.history):
            self._go_on(self.branch.state_after(self._state, self.history))
        return self._state

    @property
    def next_key(self) -> str:
        """The store key of the next epoch."""
        return self.branch.next_key(self.path.phase, self.path.rates)

    @property
    def awaited(self) -> tuple[str, str] | None:
        """The key of the next epoch and who trains it at this moment, if another process does.

        The next step then waits until that is over, or until the other is gone. Otherwise the
        epoch is this trial's, and others wait for it.
        """
        return self.branch.awaited(self.path.phase, self.path.rates)

    def _go_on(self, state: TrainState) -> None:
        self._state = go_on(
            state, self.history, self.path.phase, Architecture(self.path.architecture),
            self.config, self.dataset,
        )  # fmt: skip

    def __next__(self) -> EpochRecord:
        if self.finished:
            raise StopIteration
        self._check_between_epochs()
        self._wait()
        started, self._store_seconds = time.perf_counter(), 0.0
        try:
            state, record, constants = self._epoch()
        except (RuntimeError, MemoryError) as error:
            if not (is_out_of_memory(error) and self.history and self.history[-1].grew):
                raise
            self._fail(self.path.architecture)
            self.branch.release()
            raise StopIteration from error
        self.recalled = state is None
        decision = self.path.extend(record)
        if decision is not None:
            self.branch.fork()
            self.path.revise(decision=str(decision))
        if isinstance(decision, Grow):
            try:
                state = self._grown(state, constants, decision.architecture)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self._fail(str(decision.architecture))
        self.path.revise(store_seconds=self._store_seconds)
        if not self.recalled:
            self.path.revise(seconds=time.perf_counter() - started)
        if state is not None:
            self._go_on(state)
        if self.finished:
            self.branch.release()
        self._in_epoch = False
        return self.history[-1]

    def _fail(self, architecture: str) -> None:
        """End the trial with its last epoch: memory does not suffice for the next network."""
        self.reason = f"out of memory at growth to {architecture}"
        self.path.fail()

    def _wait(self) -> None:
        if awaited := self.awaited:
            epoch, (_, who) = len(self.history) + 1, awaited
            _LOG.warning("epoch %d is being trained by %s; waiting for it", epoch, who)
            while self.awaited:
                time.sleep(_POLL_SECONDS)

    def _epoch(self) -> tuple[TrainState | None, EpochRecord, LipschitzConstants]:
        """The next epoch, remembered or else trained; the state after it if that is at hand."""
        taken, phase = self.path.rates, self.path.phase
        if self.branch.has_moved:
            epoch = len(self.history) + 1
            _LOG.warning("from epoch %d on arithmetic is not what it was: %s", epoch, _MOVED)
        with self._in_store():
            remembered = self.branch.recall(phase, taken)
        if remembered is not None:
            return None, *remembered
        state = self.state
        self._in_epoch = True
        record, constants = run_epoch(state, taken, self.config, self.dataset)
        record = replace(record, key=self.branch.tip)
        with self._in_store():
            self.branch.remember(record, constants, state)
        return state, record, constants

    def _grown(
        self, state: TrainState | None, constants: LipschitzConstants, architecture: Architecture
    ) -> TrainState | None:
        """The state after the growth that follows the last epoch, None if that was remembered.

        The last record then has what the growth did.
        """
        record = self.history[-1]
        with self._in_store():
            known = self.branch.recall_growth(record, architecture)
        if state is None and known is not None:
            self.path.replace_last(known)
            return None
        if state is None:
            state = self.branch.state_after(self._state, self.history)
        state, record = run_growth(
            state, record, constants, architecture, self.config, self.dataset
        )
        with self._in_store():
            self.branch.remember_growth(record)
        self.path.replace_last(record)
        return state

    @contextmanager
    def _in_store(self) -> Iterator[None]:
        started = time.perf_counter()
        yield
        if self.branch.store is not None:
            self._store_seconds += time.perf_counter() - started
