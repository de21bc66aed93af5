"""Weights & Biases."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from growsearch.searches.kinds import Log, LogWriter
from growsearch.trial.components import register
from growsearch.tuning.log_writer import CallbackWriter

if TYPE_CHECKING:
    from growsearch.tuning.ray_private import LoggedTrial


@register("log", "wandb")
@dataclass(frozen=True, kw_only=True)
class WandB(Log):
    """Runs of a group that is named as the study. They are sent if there is a login, and else kept
    in the study's folder "wandb" for `wandb sync`. They end with the search if not before.
    """

    package = "wandb"

    def writer(self, folder: Path, owner: str) -> LogWriter:
        return _Runs(folder, owner)


class _Runs(CallbackWriter):
    def __init__(self, folder: Path, owner: str) -> None:
        import wandb
        from ray.air.integrations.wandb import WandbLoggerCallback

        super().__init__(folder, owner)
        if "WANDB_MODE" not in os.environ and not wandb.login(prompt=False):
            os.environ["WANDB_MODE"] = "offline"
        self.callback = WandbLoggerCallback(
            project=os.environ.get("WANDB_PROJECT", "growsearch"),
            group=os.environ.get("WANDB_RUN_GROUP", folder.name),
            mode=os.environ.get("WANDB_MODE", "online"),  # Ray's workers have another environment
            resume="allow",
        )
        self.callback.setup()

    def forget(self, run: "LoggedTrial") -> None:
        for kept in (self.folder / "wandb").glob(f"offline-run-*-{run.trial_id}"):
            shutil.rmtree(kept)

    def close(self, unfinished: list["LoggedTrial"]) -> None:
        for run in unfinished:
            self.end(run, failed=False)
        self.callback.on_experiment_end([])  # waits for what is being sent
