"""The Trainer, an iterator that trains a trial and yields an EpochRecord for each epoch."""

import logging
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from growsearch.epochs import KEPT
from growsearch.epochs.branch import Branch
from growsearch.epochs.kept_networks import KeptNetworks
from growsearch.epochs.keys import root_key
from growsearch.epochs.store import EpochStore
from growsearch.growth.constants import LipschitzConstants
from growsearch.machine.memory import is_out_of_memory
from growsearch.machine.mirror import Mirror
from growsearch.machine.processes import ranks
from growsearch.training.auto import resolved
from growsearch.training.epoch import run_epoch, run_growth
from growsearch.training.growth import prepare_epoch
from growsearch.training.state import TrainState, read_state
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError, one_line
from growsearch.trial.history import EpochRecord, History
from growsearch.trial.kinds import Decision, Grow
from growsearch.trial.options import shortened, suggestion
from growsearch.trial.path import TrialPath
from growsearch.trial.rates import Rates

_POLL_SECONDS = 0.2
_CHANGED = "torch, processor, threads, processes, data or options have changed"
_LOG = logging.getLogger("growsearch")


class Trainer(Iterator[EpochRecord]):
    """One trial. Each iteration trains an epoch, and grows the network if the policy decides so.

    >>> for record in Trainer(TrialConfig(epochs=30)):
    ...     print(record.epoch, record.architecture, record.val_accuracy)

    To stop early, stop iterating. Equal configurations give equal records on the same machine with
    the same number of threads. Raises InputError if data or device are missing.

    - `store`: its epochs are not trained again, and their records are those that training would
      give. A trial that was killed therefore resumes when it is started again.
    - `keep_states` says which states stay in the store; see Branch. "forks" keeps those after
      `parts` epochs too, where other trials are known to go another way.
    - `name`: the trial's name in its search. Epochs that the store has under this name do not
      count as reused.
    - `dataset`: the task's data, whole, if they are already loaded: what its `load` returns. For
      image classification a Dataset; with one of `Dataset.from_arrays(X, y)` `config` is completed
      to say so, with a hash of the arrays as data_dir.
    - `saved`: history and contents from `read_state`, to resume from.

    In a process group of torch.distributed, all its processes train this one trial. Each trains
    its share of every batch, and batch normalization sees only that share. All have the same
    records, and the first process should write them. There can be no store.

    If memory runs out during a growth or in the epoch after it, the trial ends with status "failed"
    and `reason` says why. The store keeps the epoch before the growth, to resume from.
    """

    def __init__(
        self, config: TrialConfig, *, store: EpochStore | None = None, keep_states: str = "forks",
        parts: Collection[int] = (), name: str | None = None, dataset: Any = None,
        saved: tuple[History, dict[str, Any]] | None = None,
    ) -> None:  # fmt: skip
        if store is not None and not isinstance(store, EpochStore):
            raise InputError(
                f"store={shortened(store)} is no EpochStore; give EpochStore({shortened(store)})"
            )
        if keep_states not in KEPT:
            raise InputError(f"unknown keep_states {keep_states!r}{suggestion(keep_states, KEPT)}")
        if (count := ranks().count) > 1 and store is not None:
            raise InputError(
                f"a trial of {count} processes cannot share epochs; leave out the store, or "
                "train in one"
            )
        self.task = resolved(config, dataset)
        self.config = self.task.trial
        root = root_key(self.task)
        self.branch = Branch(store, self.task, root, keep_states)
        if store and name:
            self.branch.by = f"{name} of {store.owner}"
        self.path, self.parts = TrialPath(self.config), frozenset(parts)
        if saved is None:
            self._state = TrainState.initial(self.task)
        else:
            history, contents = saved
            self.task.check_unchanged(contents.get("data"))
            self._state = self._restored(contents, history)
            saved_root = contents.get("root", root)  # files of older versions have no root
            self.branch.follow(history, self._state.architecture, saved_root)
            self.path.resume(history, self._state.phase, str(self._state.architecture))
        self._in_epoch = False
        self.recalled = False
        """Whether the last epoch came from the store, without training."""
        self.reason: str | None = None
        """Why the trial failed; None if it did not."""
        self._store_seconds = 0.0

    def _restored(self, contents: dict[str, Any], history: History) -> TrainState:
        """The saved state. Raises InputError if it is not one of this trial's networks."""
        try:
            return TrainState.restored(contents, history, self.task)
        except (RuntimeError, TypeError, ValueError, KeyError, AttributeError) as error:
            if isinstance(error, InputError) or is_out_of_memory(error):
                raise
            raise InputError(
                f"the saved state does not fit its trial ({one_line(error)[:200]}); restore the "
                "file from a copy, or start the trial again"
            ) from error

    @property
    def history(self) -> History:
        """The records so far."""
        return self.path.history

    @property
    def decision(self) -> Decision | None:
        """What the policy decided after the last epoch."""
        return self.path.decision

    @classmethod
    def load(cls, path: str | Path, *, dataset: Any = None) -> "Trainer":
        """A trainer that resumes from the file `path`, with the records that it has without a stop.

        With another kind of machine or number of threads they may round differently, and a warning
        is logged. `dataset` is the same as in `Trainer`; a trial on arrays needs it. Raises
        InputError if `path` is not a saved state, or the user's own images have changed.
        """
        config, history, contents = read_state(Path(path))
        return cls(config, saved=(history, contents), dataset=dataset)

    def save(self, path: str | Path) -> None:
        """Writes the state for `load`. Raises InputError if an epoch was interrupted."""
        self._check_between_epochs()
        self.state.save(Path(path), self.task, self.branch.last_root)

    def keep_networks(self, folder: str | Path, mirror: Mirror | None = None) -> None:
        """From now on, keeps the networks of the best and the last epoch in `folder`.

        See KeptNetworks, which also has `mirror`. They are what `growsearch export` reads.
        """
        kept = KeptNetworks(Path(folder), self.task.facts(), self.branch.store, mirror)
        self.branch.networks = kept

    def _check_between_epochs(self) -> None:
        if self._in_epoch:
            raise InputError(
                f"epoch {len(self.history) + 1} was interrupted and its weights are half trained; "
                "resume from the last saved state with Trainer.load, or start again"
            )

    @property
    def finished(self) -> bool:
        """Whether the trial has completed, diverged or failed."""
        return self.path.ended

    @property
    def state(self) -> TrainState:
        """The state before the next epoch, loaded or trained if epochs came from the store."""
        if len(self._state.history) < len(self.history):
            # what is interrupted here leaves a state that is half trained
            within, self._in_epoch = self._in_epoch, True
            self._prepare_epoch(self.branch.state_after(self._state, self.history))
            self._in_epoch = within
        return self._state

    @property
    def next_key(self) -> str:
        """Store key of the next epoch."""
        return self.branch.next_key(self.path.phase, self._rates)

    @property
    def awaited(self) -> tuple[str, str] | None:
        """The key of the next epoch and the process that is training it, if another one is.

        The next iteration then waits until that process has trained it or ended. If it is None,
        this trial has claimed the epoch, and others wait for it.
        """
        return self.branch.awaited(self.path.phase, self._rates)

    @property
    def steps(self) -> int | None:
        """Steps of an epoch, where rates change within epochs; else None."""
        schedule = self.config.lr_schedule
        return self.task.steps() if schedule.warmup or schedule.falls else None

    @property
    def _rates(self) -> Rates:
        """The rates of the next epoch."""
        return self.path.rates.taken(self.task.steps)

    def _prepare_epoch(self, state: TrainState) -> None:
        """Grows `state` if that was decided, and prepares it for the next epoch."""
        self._state = prepare_epoch(
            state, self.history, self.path.phase, Architecture(self.path.architecture), self.task
        )

    def __next__(self) -> EpochRecord:
        if self.finished:
            raise StopIteration
        self._check_between_epochs()
        try:
            record = self._next()
        except BaseException as error:
            self.branch.release()  # others may train the epoch
            if isinstance(error, StopIteration):
                raise RuntimeError(
                    "an epoch raised StopIteration, which would end its trial like one that is "
                    "completed; give next() a default"
                ) from error
            raise
        if record is None:
            raise StopIteration
        return record

    def _next(self) -> EpochRecord | None:
        """Trains the next epoch; None if memory does not suffice for the network it grew to."""
        self._wait()
        self._in_epoch = True
        started, self._store_seconds = time.perf_counter(), 0.0
        try:
            state, record, constants = self._epoch()
        except (RuntimeError, MemoryError) as error:
            if not (is_out_of_memory(error) and self.history and self.history[-1].grew):
                raise
            self._fail(self.path.architecture)
            self.branch.release()
            return None
        self.recalled = state is None
        decision = self.path.extend(record)
        if decision is not None or self.path.parts or len(self.history) in self.parts:
            self.branch.fork()
        if decision is not None:
            self.path.revise(decision=str(decision))
        if self.branch.networks is not None and state is not None:
            self.branch.networks.trained(self.history, state.network)
        if isinstance(decision, Grow):
            try:
                state = self._grown(state, constants, decision.architecture)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self.path.cancel_growth()
                self._fail(str(decision.architecture))
        self.path.revise(store_seconds=self._store_seconds)
        if not self.recalled:
            self.path.revise(seconds=time.perf_counter() - started)
        if state is not None:
            self._prepare_epoch(state)
        if self.finished:
            self.branch.release()
            if self.branch.networks is not None:
                self.branch.networks.complete(self.history)
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

    def _epoch(self) -> tuple[TrainState | None, EpochRecord, LipschitzConstants | None]:
        """The next epoch, from the store or by training; the state is None if from the store."""
        taken, phase = self._rates, self.path.phase
        if self.branch.has_moved:
            epoch = len(self.history) + 1
            _LOG.warning(
                "from epoch %d on, sums may round differently than before: %s", epoch, _CHANGED
            )
        with self._in_store():
            remembered = self.branch.recall(phase, taken)
        if remembered is not None:
            return None, *remembered
        state = self.state
        record, constants = run_epoch(state, taken, self.task)
        record = replace(record, key=self.branch.tip)
        with self._in_store():
            self.branch.remember(record, constants, state)
        return state, record, constants

    def _grown(
        self, state: TrainState | None, constants: LipschitzConstants | None,
        architecture: Architecture,
    ) -> TrainState | None:  # fmt: skip
        """Grows after the last epoch, and puts what that did into its record.

        Returns the grown state; None if epoch and growth are stored.
        """
        record = self.history[-1]
        with self._in_store():
            known = self.branch.recall_growth(record, architecture)
        if state is None and known is not None:
            self.path.replace_last(known)
            return None
        if state is None:
            state = self.branch.state_after(self._state, self.history)
        state, record = run_growth(state, record, constants, architecture, self.task)
        with self._in_store():
            self.branch.remember_growth(record)
        self.path.replace_last(record)
        return state

    @contextmanager
    def _in_store(self) -> Iterator[None]:
        """Adds the time of its body to `store_seconds`."""
        started = time.perf_counter()
        yield
        if self.branch.store is not None:
            self._store_seconds += time.perf_counter() - started
