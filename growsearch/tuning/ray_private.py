"""All that growsearch uses of Ray beyond its documented interface.

tests/test_ray_contract.py fails for each of these that another version of Ray changes, and
pyproject.toml admits the versions for which it has run.
"""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ray._private import services
from ray.tune.experiment import Experiment, Trial
from ray.tune.result import AUTO_RESULT_KEYS
from ray.tune.schedulers import PopulationBasedTraining
from ray.tune.search.basic_variant import BasicVariantGenerator

# what a search space consists of, and how Tune draws from it
from ray.tune.search.sample import (
    Categorical,
    Domain,
    Float,
    Function,
    Integer,
    LogUniform,
    Quantized,
    Uniform,
)
from ray.tune.search.variant_generator import generate_variants
from ray.tune.trainable.metadata import _TrainingRunMetadata
from ray.tune.utils import flatten_dict

__all__ = [
    "ASK_CLUSTER",
    "Categorical",
    "Domain",
    "Float",
    "Function",
    "Integer",
    "LogUniform",
    "LoggedTrial",
    "OneTrialGenerator",
    "Population",
    "Quantized",
    "ScheduledTrial",
    "StoredFile",
    "Uniform",
    "controller_without_trials",
    "error_text",
    "generate_variants",
    "last_result",
    "mlflow_experiment_id",
    "mlflow_run_id",
    "own_keys",
    "processes_apart",
]


ASK_CLUSTER = """
import signal, sys
from ray._private.authentication import authentication_token_setup as token
from ray._private.services import canonicalize_bootstrap_address
from ray._raylet import GcsClient

if sys.argv[1] == "auto":
    token.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
token.ensure_token_if_auth_enabled(create_token_if_missing=False)
address = canonicalize_bootstrap_address(sys.argv[1])
signal.alarm(int(sys.argv[2]))
GcsClient(address=address)
"""
"""Ends with exit code 0 if a cluster is at its first argument and lets this user in.

As ray.init, it gives no token to an explicit address unless RAY_AUTH_MODE says so.
"""


@contextmanager
def processes_apart() -> Iterator[None]:
    """Processes that ray.init starts within the block get process groups of their own.

    A signal for the driver's group (`timeout`, a closed terminal, a batch system) then reaches only
    the driver, which ends the search and Ray.
    """
    changed: Any = services
    popen = changed.ConsolePopen
    changed.ConsolePopen = partial(popen, process_group=0)
    try:
        yield
    finally:
        changed.ConsolePopen = popen


class OneTrialGenerator(BasicVariantGenerator):
    """Tune's generator of trials, which makes them one at a time, each of a given configuration."""

    def add_configurations(self, experiments: Any) -> None:
        """Tune hands over its only experiment."""
        self.experiment: Experiment = experiments[0]

    @property
    def made(self) -> int:
        """How many trials there are so far. Tune's `_total_samples` counts them."""
        return self._total_samples

    def make_trial(self, config: dict[str, Any]) -> Trial:
        """A new trial of the experiment. A copy of its `spec` has the configuration."""
        experiment = copy.copy(self.experiment)
        experiment.spec = {**experiment.spec, "config": config}
        super().add_configurations([experiment])
        self._trial_iter = None  # it iterates over the trials that were known when it was made
        trial = super().next_trial()
        assert trial is not None
        trial.run_metadata = _LastResultOnly(trial.run_metadata)
        self._iterators = []  # each has a parser of its own, for a generator that is saved
        return trial

    def save_to_dir(self, dirpath: str, session_str: str = "", **kwargs: Any) -> None:
        """Saves nothing: a search goes on from its ledger, not from Tune's state."""

    def has_checkpoint(self, dirpath: str) -> bool:
        return False


class _LastResultOnly(_TrainingRunMetadata):
    """What Tune keeps of a trial that has run, without statistics of each number of its results.

    They take two thirds of the memory of a trial, which Tune keeps until the search ends. Only
    Tune's ResultGrid and ExperimentAnalysis read them.
    """

    def __init__(self, made: _TrainingRunMetadata) -> None:
        super().__init__()
        self.checkpoint_manager = made.checkpoint_manager

    def update_metric(self, metric: str, value: Any, step: int | None = 1) -> None:
        pass


class Population(PopulationBasedTraining):
    """Tune's population based training, whose exploit is `replace_trial`, without a checkpoint."""

    def replace_trial(self, trial: Trial, better: list[Trial]) -> None:
        """`trial` is among the worst, and `better` are the best, when its interval is over."""
        raise NotImplementedError

    def start_interval(self, trial: Trial, epoch: int) -> None:
        """The trial's interval begins after `epoch`. `_trial_state` has the time of the last."""
        self._trial_state[trial].last_perturbation_time = epoch

    def _checkpoint_or_exploit(
        self, trial: Trial, controller: Any, upper: list[Trial], lower: list[Trial]
    ) -> None:
        """Tune calls this at the end of a trial's interval, with both quantiles."""
        if trial in lower:
            self.replace_trial(trial, upper)


def error_text(trial: Trial) -> str | None:
    """The tracebacks of a trial whose actor raised; None if its process died.

    Trial.get_error reads another folder, where the file is only after the trial.
    """
    if trial.run_metadata.error_filename is None:
        return None
    return Path(trial.error_file).read_text()


class StoredFile:
    """A file in the folder of a trial's experiment.

    Tune copies its folder on the driver to the experiment's storage with each snapshot of its own
    state. `read` reads the copy.
    """

    def __init__(self, trial: Trial, name: str) -> None:
        assert trial.storage, "an experiment that runs has a storage"
        self.storage, self.name = trial.storage, name

    def read(self) -> str:
        """The text of the copy; empty if there is none."""
        files = self.storage.storage_filesystem
        path = Path(self.storage.experiment_fs_path, self.name).as_posix()
        try:
            with files.open_input_stream(path) as stream:
                return bytes(stream.readall()).decode()
        except FileNotFoundError:
            return ""

    @property
    def local(self) -> Path:
        """Where the file on the driver is."""
        return Path(self.storage.experiment_driver_staging_path, self.name)


def last_result(trial: Trial) -> dict[str, Any]:
    """The trial's last result as schedulers read results; empty if there was none."""
    return dict(flatten_dict(trial.last_result or {}))


_TUNES_KEYS = {*AUTO_RESULT_KEYS, "done", "trial_id", "experiment_tag", "should_checkpoint"}


def own_keys(result: Mapping[str, Any]) -> list[str]:
    """The keys of a result that its trainable has put there, not Tune."""
    return [
        key for key in result if key not in _TUNES_KEYS and not key.startswith(("config/", "__"))
    ]


@dataclass(frozen=True)
class ScheduledTrial:
    """A trial as far as AsyncHyperBandScheduler and MedianStoppingRule read it."""

    trial_id: str


def controller_without_trials() -> Any:
    """Tune's controller as far as MedianStoppingRule reads it: no trial waits for an actor."""
    return SimpleNamespace(get_live_trials=list)


class LoggedTrial:
    """A trial as far as Tune's callbacks for TensorBoard, MLflow and W&B read it."""

    def __init__(self, name: str, trial_id: str, folder: Path, config: dict[str, Any]) -> None:
        self.name = name
        self.trial_id = trial_id
        self.local_path = str(folder)
        self.experiment_dir_name = folder.name
        self.config = self.evaluated_params = config

    def __str__(self) -> str:
        return self.name

    def init_local_path(self) -> None:
        Path(self.local_path).mkdir(parents=True, exist_ok=True)


def mlflow_run_id(callback: Any, trial: LoggedTrial) -> str:
    """MLflow's name of the run that MLflowLoggerCallback has started for the trial."""
    return str(callback._trial_runs[trial])


def mlflow_experiment_id(callback: Any) -> str:
    """MLflow's name of the experiment that MLflowLoggerCallback logs to."""
    return str(callback.mlflow_util.experiment_id)
