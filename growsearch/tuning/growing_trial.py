"""A growing network as a trainable of Ray Tune: one Tune step is one epoch."""

from pathlib import Path
from typing import Any, Self

import ray
import torch
from ray import tune

from growsearch.epochs.store import EpochStore
from growsearch.trainer import Trainer
from growsearch.training.state import read_state
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import EpochRecord
from growsearch.trial.options import Role, as_text
from growsearch.trial.plugins import Plugin, load_plugins

SHARE = 0.9
"""The share of a GPU's memory that trials divide; CUDA itself needs some for each process."""
STATE = "state.safetensors"
"""In a checkpoint: what Trainer.save writes."""


class GrowingTrial(tune.Trainable):
    """A trial for your own Tune code, with any scheduler, searcher, callback and checkpoint.

    >>> tune.Tuner(GrowingTrial, param_space={"rtol": tune.uniform(1.0, 1.5), "epochs": 30})

    The keys of `param_space` are options of TrialConfig. Each result has the fields of an
    EpochRecord, like `val_accuracy`, `param_epochs` and `seconds`, and `done` after the last epoch.

    A checkpoint is the whole state: a trial that goes on from it has the same records as one that
    was never interrupted. With another configuration, as in population based training, it goes on
    from that state as the new configuration says. Data, network, initializer and optimizer must
    then be the same, because the weights and the optimizer's state are of them.

    Trials train each epoch for themselves, unless they have a store: see `with_store`. Raises
    InputError for an option or a value that cannot be, and MemoryError if memory does not suffice
    for a growth.
    """

    trainer: Trainer
    place: str | None = None
    """Folder or address of the epoch store."""

    @classmethod
    def with_plugins(cls, *names: str) -> type[Self]:
        """This trainable with components of your own, from files or modules of these names.

        They are read here, and loaded where trials run.
        """
        return tune.with_parameters(cls, plugins=load_plugins(names))

    @classmethod
    def with_store(cls, place: str, *plugins: str) -> type[Self]:
        """This trainable with an epoch store, in a folder or at an address like s3://bucket/folder.

        Trials train each distinct epoch once, also those of other experiments and searches with
        this store; records are the same as without. A trial waits in its process for an epoch that
        another one is training. Nodes must all see the folder. `plugins` are as in `with_plugins`.
        Raises InputError if `place` cannot be used.
        """
        kept = EpochStore(place).place  # processes of trials have other working directories
        return tune.with_parameters(cls, plugins=load_plugins(plugins), store=kept)

    def setup(
        self, config: dict[str, Any], plugins: list[Plugin] | None = None, store: str | None = None
    ) -> None:
        for plugin in plugins or []:
            plugin.load()
        trial = TrialConfig.from_flat(config)
        self._prepare_process()
        self.place = store or self.place
        self.trainer = self._trainer(self._placed(trial))

    def _trainer(self, trial: TrialConfig, **saved: Any) -> Trainer:
        store = EpochStore(self.place) if self.place is not None else None
        return Trainer(trial, store=store, name=self.trial_id, **saved)

    def _prepare_process(self) -> None:
        """Set this process to what Tune has reserved for the trial, and drop the one before it."""
        self.cleanup()
        self.__dict__.pop("trainer", None)  # its memory is for the next one
        if self.trial_resources is None:  # outside of Tune
            return
        reserved = self.trial_resources.required_resources
        torch.set_num_threads(max(int(reserved.get("CPU", 1)), 1))
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        share = reserved.get("GPU", 0)
        if 0 < share < 1 and torch.cuda.is_available():
            # what another trial takes must not decide what fits, nor by which algorithm
            torch.cuda.set_per_process_memory_fraction(SHARE * share)

    def _placed(self, trial: TrialConfig) -> TrialConfig:
        """Without a GPU of its own, a trial must not take another's."""
        if trial.device == "auto" and self.trial_resources is not None and not ray.get_gpu_ids():
            return trial.replaced(device="cpu")
        return trial

    def step(self) -> dict[str, Any]:
        record = self._next_record()
        if record is None:
            raise MemoryError(self.trainer.reason)
        # a growth that failed has a record before it; the next step raises
        return record.to_result() | {"done": self.trainer.finished and not self.trainer.reason}

    def _next_record(self) -> EpochRecord | None:
        """The record of the next epoch; None if memory did not suffice for it."""
        return next(self.trainer, None)

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any] | None:
        self.trainer.save(Path(checkpoint_dir, STATE))
        self.trainer.branch.release()  # it may pause now, and no other trial is to wait for it
        return None

    def load_checkpoint(self, checkpoint: Any) -> None:
        saved, history, contents = read_state(Path(checkpoint, STATE))
        own = self.trainer.config
        # what "auto" stood for in the epochs so far stays
        machine = {n: v for n, v in saved.values(Role.MACHINE).items() if n != "device"}
        _check_same(saved, own)
        self.trainer.branch.release()
        self.trainer = self._trainer(own.replaced(**machine), saved=(history, contents))

    def cleanup(self) -> None:
        if trainer := self.__dict__.get("trainer"):
            trainer.branch.release()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True


def _carried(trial: TrialConfig) -> dict[str, Any]:
    """The options that weights and optimizer state are of."""
    optimizer = {"optimizer": trial.optimizer.name, **trial.optimizer.values()}
    return trial.values(Role.DATA, Role.NETWORK, Role.GROWTH) | optimizer


def _check_same(saved: TrialConfig, own: TrialConfig) -> None:
    before, now = _carried(saved), _carried(own)
    for name in {**before, **now}:
        if before.get(name) != now.get(name):
            one, other = as_text(before.get(name)), as_text(now.get(name))
            raise InputError(
                f"a checkpoint with {name}={one} cannot go on with {name}={other}; let the "
                "scheduler change other options, like lr and weight_decay"
            )
