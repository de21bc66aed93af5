"""A trial as a Ray actor: one Tune step is one epoch."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune

from growsearch.config import TrialConfig
from growsearch.epoch_store import EpochStore
from growsearch.trainer import Trainer
from growsearch.tuning.awaited import AWAITS

STATE_FILE = "state.pt"


class GrowingTrial(tune.Trainable):
    """Reports each EpochRecord as a Tune result. Actors are reused from trial to trial.

    Tune's configuration is {"trial": the fields of a TrialConfig}, and with an epoch store its
    place as "store", "keep_states", "state_bytes", and the "owner" of its claims there, the search.
    If another search trains the next epoch, the trial ends with {"awaits": its key}, to start
    again.
    """

    trainer: Trainer

    def setup(self, config: dict[str, Any]) -> None:
        assert self.trial_resources is not None
        torch.set_num_threads(max(int(self.trial_resources.required_resources["CPU"]), 1))
        trial = TrialConfig.from_flat(config["trial"])
        if trial.device == "auto" and not ray.get_gpu_ids():
            # without a GPU of its own, a trial must not take another's
            trial = replace(trial, device="cpu")
        self.awaits = False
        if "store" in config:
            store = EpochStore(config["store"], config["owner"], config["state_bytes"])
            self.trainer = Trainer(trial, store=store, keep_states=config["keep_states"])
        else:
            self.trainer = Trainer(trial)

    def step(self) -> dict[str, Any]:
        if awaited := self.trainer.awaited:
            self.awaits = True
            return {AWAITS: awaited[0], "done": True}
        record = next(self.trainer)
        return {**asdict(record), "done": self.trainer.finished}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        if not self.awaits:
            self.trainer.save(Path(checkpoint_dir) / STATE_FILE)

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.trainer = Trainer.load(Path(checkpoint) / STATE_FILE)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True
