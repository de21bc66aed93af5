"""A trial as a Ray actor: one Tune step is one epoch."""

import os
import threading
from dataclasses import replace
from typing import Any

import ray
import torch
from ray import tune

from growsearch.epochs.store import EpochStore
from growsearch.search.ledger import AWAITS, ELSEWHERE, REASON, REMEMBERED
from growsearch.trainer import Trainer
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.tuning.shared_data import Datasets, data_key

SHARE = 0.9
"""Of a GPU's memory, that trials divide; CUDA itself needs some for each process."""


class GrowingTrial(tune.Trainable):
    """Reports each EpochRecord as a Tune result. Actors are reused from trial to trial, and what a
    trial goes on from is in the epoch store, not in a checkpoint of Tune's.

    Tune's configuration is {"trial": the fields of a TrialConfig, "name": the trial's, "known": how
    many epochs have been reported before, and are not again, "first": the key of the first, or
    None}, with an epoch store its place as "store", "keep_states", "state_bytes", and the "owner"
    of its claims there, the search; the "epoch_timeout" in seconds, after which the process of a
    trial that hangs ends itself; and the "auto_precision", what precision "auto" comes to, if the
    search has decided that. If another search trains the next epoch, the trial ends with {"awaits":
    (its key, how many epochs come before)}, to start again. Epochs that were remembered come with
    the next that is trained. Data sets that are not in `datasets` are loaded here.
    """

    trainer: Trainer

    def setup(self, config: dict[str, Any], datasets: Datasets | None = None) -> None:
        assert self.trial_resources is not None
        torch.set_num_threads(max(int(self.trial_resources.required_resources["CPU"]), 1))
        trial = TrialConfig.from_flat(config["trial"])
        if trial.device == "auto" and not ray.get_gpu_ids():
            # without a GPU of its own, a trial must not take another's
            trial = replace(trial, device="cpu")
        if trial.precision == "auto" and config["auto_precision"]:
            trial = replace(trial, precision=config["auto_precision"])
        self.known, self.timeout = config["known"], config["epoch_timeout"]
        options: dict[str, Any] = {"dataset": (datasets or {}).get(data_key(trial))}
        if "store" in config:
            store = EpochStore(config["store"], config["owner"], config["state_bytes"])
            options |= {"store": store, "keep_states": config["keep_states"]}
        self.__dict__.pop("trainer", None)  # its memory is for the next one
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        share = self.trial_resources.required_resources.get("GPU", 0)
        if 0 < share < 1 and torch.cuda.is_available():
            # what another trial takes must not decide what fits, nor by which algorithm
            torch.cuda.set_per_process_memory_fraction(SHARE * share)
        self.trainer = Trainer(trial, name=config["name"], **options)
        if config["first"] not in (None, self.trainer.next_key):
            raise InputError(ELSEWHERE)

    def step(self) -> dict[str, Any]:
        remembered: list[dict[str, Any]] = []
        while True:
            if awaited := self.trainer.awaited:
                leave = {AWAITS: (awaited[0], len(self.trainer.history)), "done": True}
                return leave | {REMEMBERED: remembered}
            with _Watchdog(self.timeout):
                trained = next(self.trainer, None)
            # memory that runs out after a growth ends the trial with the epoch before
            record = trained or self.trainer.history[-1]
            if self.trainer.finished or not self.trainer.recalled:
                done = {**record.to_dict(), "done": self.trainer.finished}
                return done | {REMEMBERED: remembered, REASON: self.trainer.reason}
            if record.epoch > self.known:
                remembered.append(record.to_dict())

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
