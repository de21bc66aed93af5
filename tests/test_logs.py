"""The TensorBoard logs of searches, read from their files as TensorBoard reads them."""

import struct
import sys

import numpy as np
import pytest
from conftest import driver, until_remembered
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

from growsearch.cli import main
from growsearch.study.results import read_study

RATES = """
from ray import tune

param_space = {
    "policy": "fixed", "growth_epochs": [8], "epochs": 12, "train_size": 100,
    "lr": tune.grid_search([0.1, 1e-4, 1e-5]),
}
"""
GRID = """
from ray import tune

param_space = {
    "policy": "fixed", "growth_epochs": tune.grid_search([[3], [4], [5]]), "epochs": 6,
    "train_size": 100, "lr": 0.1,
}
"""


@pytest.fixture(scope="module")
def folder(ray, tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    (folder / "rates.py").write_text(RATES)
    (folder / "grid.py").write_text(GRID)
    return folder


def events(run):
    """Events of TFRecord files: length (8 bytes), its checksum (4), event, its checksum (4)."""
    for path in sorted(run.glob("events.out.tfevents.*")):
        content, start = path.read_bytes(), 0
        while start < len(content):
            (length,) = struct.unpack_from("<Q", content, start)
            yield Event.FromString(content[start + 12 : start + 12 + length])
            start += length + 16


def steps_of(run):
    """For each metric its (step, value) pairs in the order of writing."""
    found = {}
    for event in events(run):
        for value in event.summary.value:
            if value.WhichOneof("value") == "simple_value":
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def hyperparameters(run):
    for event in events(run):
        for value in event.summary.value:
            content = HParamsPluginData.FromString(value.metadata.plugin_data.content)
            if content.HasField("session_start_info"):
                found = content.session_start_info.hparams
    return found


def assert_tensorboard_has_all_of(study):
    trials = read_study(study).groupby("trial_id")
    runs = {path.name: path for path in (study / "tensorboard").iterdir()}
    assert set(runs) == set(trials.groups)
    for name, rows in trials:
        steps = steps_of(runs[name])
        for metric in ("val_accuracy", "train_loss", "parameters", "ppe", "seconds", "grew"):
            expected = zip(rows["epoch"], rows[metric].astype(np.float32).tolist(), strict=True)
            assert steps[f"ray/tune/{metric}"] == list(expected)
        assert not {"ray/tune/epoch", "ray/tune/architecture"} & set(steps)


@pytest.mark.slow
@pytest.mark.long
def test_a_trial_is_one_run_and_an_epoch_one_step_also_if_it_pauses_and_goes_on(folder, tmp_path):
    out = tmp_path / "racing"
    options = "--scheduler pareto --racing 2 --audit 0 --alpha 0.01 --log tensorboard"
    assert main(["search", f"{folder}/rates.py", *options.split(), "--out", str(out)]) == 0
    assert '"paused"' in (out / "search.jsonl").read_text()
    assert_tensorboard_has_all_of(out)
    for name, lr in (("00000", 0.1), ("00001", 1e-4), ("00002", 1e-5)):
        told = hyperparameters(out / "tensorboard" / name)
        assert told["lr"].number_value == lr
        assert told["growth_epochs"].string_value == "8"


@pytest.mark.long
def test_after_a_kill_the_log_goes_on_without_a_step_twice_or_none(folder, tmp_path):
    """Trials of this grid share epochs, and several recalled epochs reach Tune as one result."""
    out = tmp_path / "killed"
    with driver("search", folder / "grid.py", "--log", "tensorboard", "--out", out) as killed:
        until_remembered(out / "epochs", 6, killed)
        killed.kill()
    assert main(["resume", str(out)]) == 0  # `--log` is stored in the search's settings
    assert_tensorboard_has_all_of(out)


@pytest.mark.slow
@pytest.mark.long
def test_a_search_that_has_ended_can_be_logged(folder, tmp_path):
    out = tmp_path / "later"
    assert main(["search", f"{folder}/grid.py", "--out", str(out)]) == 0
    assert not (out / "tensorboard").exists()
    for _ in range(2):
        assert main(["resume", str(out), "--log", "tensorboard"]) == 0
        assert_tensorboard_has_all_of(out)


def test_a_log_whose_package_is_missing_is_an_error_before_anything_runs(
    folder, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    out = tmp_path / "missing"
    options = ["--log", "tensorboard", "mlflow", "--out", str(out)]
    assert main(["search", f"{folder}/grid.py", *options]) == 2
    err = capsys.readouterr().err
    assert "log 'mlflow' needs the package mlflow" in err and "growsearch[mlflow]" in err
    assert err.count("\n") == 1
    assert main(["search", f"{folder}/grid.py", "--log", "mlfow", "--out", str(out)]) == 2
    assert "unknown log 'mlfow'; did you mean 'mlflow'?" in capsys.readouterr().err
    assert not out.exists()
