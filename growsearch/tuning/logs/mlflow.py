"""MLflow."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from growsearch.searches.kinds import Log, LogWriter
from growsearch.trial.components import register
from growsearch.trial.history import EpochRecord
from growsearch.tuning.log_writer import CallbackWriter, scalars

if TYPE_CHECKING:
    from growsearch.tuning.ray_private import LoggedTrial


@register("log", "mlflow")
@dataclass(frozen=True, kw_only=True)
class MLflow(Log):
    """Runs of an experiment that is named as the study, in the study's mlflow.db or where
    MLFLOW_TRACKING_URI says.
    """

    package = "mlflow"

    def writer(self, folder: Path, owner: str) -> LogWriter:
        return _Runs(folder, owner)


class _Runs(CallbackWriter):
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

    def forget(self, run: "LoggedTrial") -> None:
        from growsearch.tuning.ray_private import mlflow_experiment_id

        client = self.mlflow.MlflowClient()
        for found in client.search_runs(
            [mlflow_experiment_id(self.callback)],
            f"tags.search = '{self.owner}' and tags.trial_name = '{run}'",
        ):
            client.delete_run(found.info.run_id)

    def step(self, run: "LoggedTrial", record: EpochRecord) -> None:
        from growsearch.tuning.ray_private import mlflow_run_id

        # Tune's callback sends numbers one by one: in a database 0.4 s an epoch instead of 0.05
        run_id = mlflow_run_id(self.callback, run)
        self.mlflow.log_metrics(scalars(record), step=record.epoch, run_id=run_id)

    def close(self, unfinished: list["LoggedTrial"]) -> None:
        """The runs stay open."""
