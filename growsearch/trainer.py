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
from growsearch.machine.devices import device_of
from growsearch.machine.memory import is_out_of_memory
from growsearch.machine.precision import check_precision
from growsearch.machine.processes import ranks
from growsearch.policies.decide import decide
from growsearch.schedules.rates import Rates, rates
from growsearch.tasks.images.dataset import Dataset
from growsearch.tasks.images.loading import load_trial_dataset
from growsearch.training.auto_compile import auto_compile
from growsearch.training.auto_precision import auto_precision
from growsearch.training.epoch import run_epoch, run_growth
from growsearch.training.growth import prepare_epoch
from growsearch.training.state import TrainState, read_state
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import EpochRecord, History
from growsearch.trial.phases import Decision, Grow, completes, next_phase
from growsearch.trial.status import Status

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
        group = ranks()
        self.device = device_of(config.device)
        if config.precision == "auto":
            config = replace(config, precision=group.same(auto_precision(self.device)))
        check_precision(config.precision, self.device)
        with group.first_before():
            dataset = load_trial_dataset(config, dataset)
        group.check(config.batch_size, len(dataset.train))
        if group.count > 1 and store is not None:
            raise InputError(
                f"a trial of {group.count} processes cannot share epochs; leave out the store, or "
                "train in one"
            )
        self.dataset = dataset.to(self.device)
        if config.compile == "auto":
            decided = auto_compile(config, self.dataset, self.device) if group.first else "off"
            config = replace(config, compile=group.same(decided))
        self.config = config
        """Its precision and compile are not auto: they are decided."""
        root = root_key(config, dataset, self.device)
        self.branch = Branch(store, config, self.dataset, self.device, root, keep_states)
        if store and name:
            self.branch.by = f"{name} of {store.owner}"
        if saved is None:
            self._state = TrainState.initial(config, self.dataset, self.device)
        else:
            history, contents = saved
            self._state = TrainState.restored(contents, history, config, self.dataset, self.device)
            saved_root = contents.get("root", root)  # older states have none
            self.branch.follow(history, self._state.architecture, saved_root)
        self.history, self.phase = self._state.history, self._state.phase
        self._in_epoch = False
        self.recalled = False
        """Whether the last epoch was remembered, not trained."""
        self.decision: Decision | None = None
        """What the policy decided after the last epoch."""
        self.reason: str | None = None
        """Why the trial failed, if it did."""
        self._store_seconds = 0.0

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
        return bool(self.history) and self.history[-1].status is not Status.RUNNING

    @property
    def state(self) -> TrainState:
        """Ready for the next epoch; brought there first, if the last ones were remembered."""
        if len(self._state.history) < len(self.history):
            self._prepare_epoch(self.branch.state_after(self._state, self.history))
        return self._state

    @property
    def next_key(self) -> str:
        """Of the next epoch."""
        return self.branch.next_key(self.phase, self._rates)

    @property
    def _rates(self) -> Rates:
        """The next epoch's."""
        return rates(self.config, self.history, self.phase)

    @property
    def awaited(self) -> tuple[str, str] | None:
        """The key of the next epoch and who trains it at this moment, if another process does.

        The next step then waits until that is over, or until the other is gone. Otherwise the
        epoch is this trial's, and others wait for it.
        """
        return self.branch.awaited(self.phase, self._rates)

    def _prepare_epoch(self, state: TrainState) -> None:
        """Make `state`, after the last epoch, ready for the next one."""
        architecture = state.architecture
        if isinstance(self.decision, Grow):
            architecture = self.decision.architecture
        self._state = prepare_epoch(
            state, self.history, self.phase, architecture, self.config, self.dataset
        )

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
            self.reason = _out_of_memory(self._next_architecture)
            self.history = self.history.revised(status=Status.FAILED)
            self.branch.release()
            raise StopIteration from error
        self.recalled = state is None
        history = self.history.plus(record)
        if record.status is Status.RUNNING and completes(self.config, history):
            record = replace(record, status=Status.COMPLETED)
        running = record.status is Status.RUNNING
        self.decision = decide(self.config, history) if running else None
        if self.decision is not None:
            self.branch.fork()
            record = replace(record, decision=str(self.decision))
        if isinstance(self.decision, Grow):
            try:
                state, record = self._grown(state, record, constants, self.decision.architecture)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self.reason = _out_of_memory(self.decision.architecture)
                record, self.decision = replace(record, status=Status.FAILED), None
        record = replace(record, store_seconds=self._store_seconds)
        if not self.recalled:
            record = replace(record, seconds=time.perf_counter() - started)
        self.history = self.history.plus(record)
        self.phase = next_phase(self.config, self.history, self.decision)
        if state is not None:
            self._prepare_epoch(state)
        if self.finished:
            self.branch.release()
        self._in_epoch = False
        return record

    @property
    def _next_architecture(self) -> Architecture:
        """Of the next epoch, whether or not the network is there yet."""
        if isinstance(self.decision, Grow):
            return self.decision.architecture
        return self._state.architecture

    def _wait(self) -> None:
        if awaited := self.awaited:
            epoch, (_, who) = len(self.history) + 1, awaited
            _LOG.warning("epoch %d is being trained by %s; waiting for it", epoch, who)
            while self.awaited:
                time.sleep(_POLL_SECONDS)

    def _epoch(self) -> tuple[TrainState | None, EpochRecord, LipschitzConstants]:
        """The next epoch, remembered or else trained; the state after it if that is at hand."""
        taken = self._rates
        if self.branch.has_moved:
            epoch = len(self.history) + 1
            _LOG.warning("from epoch %d on arithmetic is not what it was: %s", epoch, _MOVED)
        with self._in_store():
            remembered = self.branch.recall(self.phase, taken)
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
        self, state: TrainState | None, record: EpochRecord, constants: LipschitzConstants,
        architecture: Architecture,
    ) -> tuple[TrainState | None, EpochRecord]:  # fmt: skip
        """The growth after `record`'s epoch, likewise."""
        with self._in_store():
            known = self.branch.recall_growth(record, architecture)
        if state is None and known is not None:
            return None, known
        if state is None:
            state = self.branch.state_after(self._state, self.history.plus(record))
        state, record = run_growth(
            state, record, constants, architecture, self.config, self.dataset
        )
        with self._in_store():
            self.branch.remember_growth(record)
        return state, record

    @contextmanager
    def _in_store(self) -> Iterator[None]:
        started = time.perf_counter()
        yield
        if self.branch.store is not None:
            self._store_seconds += time.perf_counter() - started


def _out_of_memory(architecture: Architecture) -> str:
    return f"out of memory at growth to {architecture}"
