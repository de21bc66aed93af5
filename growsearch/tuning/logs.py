"""What Tune's callbacks for TensorBoard, MLflow and W&B are told of a search."""

import logging
import os
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from growsearch.search.ledger import SearchTrial
from growsearch.trial.errors import InputError
from growsearch.trial.history import EpochRecord
from growsearch.tuning.ray_private import LoggedTrial, mlflow_experiment_id, mlflow_run_id


class Run(LoggedTrial):
    """A trial of the search in a log."""

    def __init__(self, trial: SearchTrial, run_id: str, folder: Path) -> None:
        known = trial.config.to_flat()
        config = {name: value for name, value in known.items() if value is not None}
        super().__init__(trial.name, run_id, folder, config)


class Log(ABC):
    """One of Tune's callbacks, for the search of `owner` whose study is in `folder`."""

    package: str
    """What it needs installed."""
    callback: Any
    """Tune's; it takes a Run for a trial."""

    def __init__(self, folder: Path, owner: str) -> None:
        self.folder = folder
        self.owner = owner

    def run(self, trial: SearchTrial) -> Run:
        return Run(trial, f"{self.owner}-{trial.name}", self.folder)

    @abstractmethod
    def forget(self, run: Run) -> None:
        """Remove what an earlier process has logged of it."""

    def start(self, run: Run) -> None:
        self.callback.log_trial_start(run)

    def step(self, run: Run, record: EpochRecord) -> None:
        values = {"training_iteration": record.epoch, **scalars(record)}
        self.callback.log_trial_result(record.epoch, run, values)

    def end(self, run: Run, failed: bool) -> None:
        self.callback.log_trial_end(run, failed)

    def rest(self, run: Run) -> bool:
        """Whether its run is closed until the trial goes on, perhaps much later."""
        return False

    @abstractmethod
    def close(self, unfinished: list[Run]) -> None:
        """The search ends here, and may go on with these."""


def scalars(record: EpochRecord) -> dict[str, float]:
    """The numbers of a record, but the epoch, which is the step."""
    values = {name: value for name, value in asdict(record).items() if name != "epoch"}
    return {name: value for name, value in values.items() if isinstance(value, int | float)}


class TensorBoard(Log):
    """Event files in a folder for each trial below the study's folder "tensorboard"."""

    package = "tensorboardX"

    def __init__(self, folder: Path, owner: str) -> None:
        from ray.tune.logger import TBXLoggerCallback

        super().__init__(folder / "tensorboard", owner)
        self.callback = TBXLoggerCallback()

    def run(self, trial: SearchTrial) -> Run:
        return Run(trial, trial.name, self.folder / trial.name)

    def forget(self, run: Run) -> None:
        shutil.rmtree(run.local_path, ignore_errors=True)

    def start(self, run: Run) -> None:
        # a file is named by its second, and opened anew it would be emptied
        while any(Path(run.local_path).glob(f"*.tfevents.{int(time.time())}.*")):
            time.sleep(0.1)
        super().start(run)

    def rest(self, run: Run) -> bool:
        self.end(run, failed=False)  # each that is open is a thread
        return True

    def close(self, unfinished: list[Run]) -> None:
        for run in unfinished:
            self.end(run, failed=False)


class MLflow(Log):
    """Runs of an experiment that is named as the study, in the study's mlflow.db or where
    MLFLOW_TRACKING_URI says.
    """

    package = "mlflow"

    def __init__(self, folder: Path, owner: str) -> None:
        import mlflow
        from ray.air.integrations.mlflow import MLflowLoggerCallback

        super().__init__(folder, owner)
        self.mlflow = mlflow
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        self.callback = MLflowLoggerCallback(
            os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder}/mlflow.db",
            experiment_name=os.environ.get("MLFLOW_EXPERIMENT_NAME") or folder.name,
            tags={"search": owner},
        )
        self.callback.setup()

    def forget(self, run: Run) -> None:
        client = self.mlflow.MlflowClient()
        for found in client.search_runs(
            [mlflow_experiment_id(self.callback)],
            f"tags.search = '{self.owner}' and tags.trial_name = '{run}'",
        ):
            client.delete_run(found.info.run_id)

    def step(self, run: Run, record: EpochRecord) -> None:
        # Tune's callback sends numbers one by one: in a database 0.4 s an epoch instead of 0.05
        run_id = mlflow_run_id(self.callback, run)
        self.mlflow.log_metrics(scalars(record), step=record.epoch, run_id=run_id)

    def close(self, unfinished: list[Run]) -> None:
        """They stay open."""


class WandB(Log):
    """Runs of a group that is named as the study, sent if there is a login, and else kept in the
    study's folder "wandb" for `wandb sync`. They end with the search if not before.
    """

    package = "wandb"

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

    def forget(self, run: Run) -> None:
        for kept in (self.folder / "wandb").glob(f"offline-run-*-{run.trial_id}"):
            shutil.rmtree(kept)

    def close(self, unfinished: list[Run]) -> None:
        for run in unfinished:
            self.end(run, failed=False)
        self.callback.on_experiment_end([])  # waits for what is being sent


LOGS_BY_NAME: dict[str, type[Log]] = {"tensorboard": TensorBoard, "mlflow": MLflow, "wandb": WandB}


def check_logs(names: Sequence[str]) -> None:
    """InputError if the package of one is missing."""
    for name in names:
        package = LOGS_BY_NAME[name].package
        spec = find_spec(package)
        if spec is None or spec.origin is None:  # W&B leaves a folder of its name where it runs
            raise InputError(
                f"log {name!r} needs the package {package}, which is not installed; pip install "
                f"'growsearch[{name}]'"
            )
