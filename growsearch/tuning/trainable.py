"""A trial as a Ray actor: one Tune step is one epoch."""

import os
import threading
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune

from growsearch.epochs.store import EpochStore
from growsearch.search.messages import ELSEWHERE, Assignment, AwaitedEpoch, Report
from growsearch.trainer import Trainer
from growsearch.trial.errors import InputError
from growsearch.trial.history import EpochRecord
from growsearch.tuning.shared_data import Datasets

SHARE = 0.9
"""Of a GPU's memory, that trials divide; CUDA itself needs some for each process."""


class GrowingTrial(tune.Trainable):
    """Tune's configuration is an Assignment as a dict, and each result a Report as a dict.

    Actors are reused for other trials. A trial that starts again continues from the epoch store,
    not from a checkpoint of Tune's. Data sets that are not in `datasets` are loaded here.
    """

    trainer: Trainer

    def setup(self, config: dict[str, Any], datasets: Datasets | None = None) -> None:
        assert self.trial_resources is not None
        torch.set_num_threads(max(int(self.trial_resources.required_resources["CPU"]), 1))
        assignment = Assignment.from_dict(config)
        trial, given = assignment.trial, assignment.options
        if trial.device == "auto" and not ray.get_gpu_ids():
            # without a GPU of its own, a trial must not take another's
            trial = trial.replaced(device="cpu")
        if trial.precision == "auto" and given.auto_precision:
            trial = trial.replaced(precision=given.auto_precision)
        self.known, self.timeout = assignment.known, given.epoch_timeout
        options: dict[str, Any] = {"dataset": (datasets or {}).get(trial.task.load_key())}
        if access := given.store:
            store = EpochStore(access.place, access.owner, access.state_bytes)
            options |= {"store": store, "keep_states": access.keep_states}
        self.__dict__.pop("trainer", None)  # its memory is for the next one
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        share = self.trial_resources.required_resources.get("GPU", 0)
        if 0 < share < 1 and torch.cuda.is_available():
            # what another trial takes must not decide what fits, nor by which algorithm
            torch.cuda.set_per_process_memory_fraction(SHARE * share)
        self.trainer = Trainer(trial, name=assignment.name, **options)
        if given.networks is not None:
            self.trainer.keep_networks(Path(given.networks, assignment.name))
        if assignment.first not in (None, self.trainer.next_key):
            raise InputError(ELSEWHERE)

    def step(self) -> dict[str, Any]:
        return self._report().to_dict()

    def _report(self) -> Report:
        remembered: list[EpochRecord] = []
        while True:
            if awaited := self.trainer.awaited:
                epoch = AwaitedEpoch(awaited[0], before=len(self.trainer.history))
                return Report(awaits=epoch, remembered=tuple(remembered))
            with _Watchdog(self.timeout):
                trained = next(self.trainer, None)
            # memory that runs out after a growth ends the trial with the epoch before
            record = trained or self.trainer.history[-1]
            if self.trainer.finished or not self.trainer.recalled:
                reason = self.trainer.reason
                return Report(record=record, remembered=tuple(remembered), reason=reason)
            if record.epoch > self.known:
                remembered.append(record)

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {}  # for Tune's own schedulers that pause

    def load_checkpoint(self, checkpoint: Any) -> None:
        pass

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True


class _Watchdog:
    """Ends this process if what it guards takes longer than so many seconds."""

    def __init__(self, seconds: float | None) -> None:
        self.timer = threading.Timer(seconds, os._exit, (1,)) if seconds else None

    def __enter__(self) -> None:
        if self.timer:
            self.timer.daemon = True
            self.timer.start()

    def __exit__(self, *raised: object) -> None:
        if self.timer:
            self.timer.cancel()
