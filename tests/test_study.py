"""Study, in Python and by the commands that are thin on it."""

import json
import shlex
import shutil
import subprocess
import sys

import pandas as pd
import pytest
import torch
from conftest import ROOT, first_quick, run

from growsearch import InputError, Study, TrialConfig, load_network, read_study, summarize
from growsearch.cli.train import begin
from growsearch.study.folder import create_study

SMALL = {
    "epochs": 3, "train_size": 300, "lr": 0.1, "policy": "fixed", "growth_epochs": (2,),
    "precision": "float32", "compile": "off", "scaling": "step-size",
}  # fmt: skip


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """The folder of one trial, which no test changes."""
    folder = tmp_path_factory.mktemp("study") / "one"
    assert begin(TrialConfig(**SMALL), folder, {}) is None
    return folder


@pytest.fixture
def recorded():
    return Study(ROOT / "analysis/studies/lipgrow_digits")


def is_as_recorded(network, config, record) -> None:
    for split in ("val", "test"):
        with torch.no_grad():
            found = config.task.evaluate(network, split)
        assert found["accuracy"] == record[f"{split}_accuracy"]


def test_tables_are_those_of_the_functions(recorded):
    study = read_study(recorded.folder)
    pd.testing.assert_frame_equal(recorded.epochs, study)
    pd.testing.assert_frame_equal(recorded.trials, summarize(study))


@pytest.mark.parametrize("cost", ["ppe", "seconds", "param_epochs", "flops"])
@pytest.mark.parametrize("metric", ["val_accuracy", "val_loss"])
def test_the_front_is_what_no_other_trial_dominates(recorded, cost, metric):
    trials = recorded.trials
    column = "train_flops" if cost == "flops" else cost
    better = -trials["val_loss"] if metric == "val_loss" else trials["val_accuracy"]
    points = list(zip(trials[column], better, strict=True))
    if trials[column].isna().all():
        with pytest.raises(InputError, match="the study has no cost"):
            recorded.front(cost, metric)
        return
    expected = {
        name
        for name, (c, m) in zip(trials["trial_id"], points, strict=True)
        if not any((c2 <= c and m2 >= m) and (c2 < c or m2 > m) for c2, m2 in points)
    }
    front = recorded.front(cost, metric)
    assert set(front["trial_id"]) == expected
    assert front[column].is_monotonic_increasing


def test_the_front_and_the_best_trial_are_by_the_cost_of_the_search():
    """So they are those of the report, for a search that compared FLOPs."""
    study = Study(ROOT / "analysis/studies/gpt_growth")
    assert (study.cost, study.metric) == ("flops", "metric/val_bits_per_byte")
    assert list(study.front()["trial_id"]) == list(study.front("flops")["trial_id"])
    assert study.best(max_cost=2e11).mean["train_flops"] <= 2e11


def test_the_best_trial_stands_on_the_front(recorded):
    assert recorded.best().trial in set(recorded.front()["trial_id"])


def test_the_configuration_of_a_trial(one):
    assert Study(one).config() == TrialConfig(**SMALL)


def test_the_network_of_a_trial_has_its_accuracy(one):
    study = Study(one)
    last = study.epochs.iloc[-1]
    network = study.network(last["trial_id"])
    assert not network.training
    assert str(network.architecture) == last["architecture"] == "4-4-4"
    is_as_recorded(network, study.config(), last)


def test_figure_and_report(one, tmp_path):
    shutil.copytree(one, tmp_path / "one")
    study = Study(tmp_path / "one")
    assert study.report() == tmp_path / "one/report.html"
    assert study.report().is_file()
    assert study.figure().axes


def test_a_folder_that_is_no_study(tmp_path):
    with pytest.raises(InputError, match="is not a study"):
        Study(tmp_path)


def test_the_names_of_trials_and_epochs_are_checked(one):
    name = Study(one).trials["trial_id"].item()
    with pytest.raises(InputError, match=f"no trial '0'; choose from {name}"):
        Study(one).network("0")
    with pytest.raises(InputError, match="unknown epoch 'lst'; did you mean 'last'"):
        Study(one).network(epoch="lst")
    with pytest.raises(InputError, match="unknown format"):
        Study(one).export("m", format="pickle")


def test_weights_that_are_gone_are_said_with_the_command_that_makes_them(capsys, one, tmp_path):
    shutil.copytree(one, tmp_path / "one")
    shutil.rmtree(tmp_path / "one/networks")
    (tmp_path / "one/state.safetensors").unlink()
    code, out, err = run(capsys, "export", tmp_path / "one", "--out", tmp_path / "m.safetensors")
    assert (code, out, err.count("\n")) == (2, "", 1)
    command = err[err.index("growsearch train") :].strip().replace("NEW", str(tmp_path / "again"))
    assert run(capsys, *shlex.split(command)[1:])[0] == 0
    again = Study(tmp_path / "again")
    first, second = (study.epochs["val_accuracy"] for study in (Study(one), again))
    assert list(first) == list(second)
    assert run(capsys, "export", again.folder, "--out", tmp_path / "m.safetensors")[0] == 0


def test_the_state_of_a_trial_stands_in_for_its_kept_network(one, tmp_path):
    shutil.copytree(one, tmp_path / "one")
    shutil.rmtree(tmp_path / "one/networks")
    study = Study(tmp_path / "one")
    is_as_recorded(study.network(), study.config(), study.epochs.iloc[-1])


def test_a_state_from_just_after_a_growth_is_not_the_epochs_network(tmp_path):
    """The trial is stopped when it has grown; its record is of the network before."""
    from growsearch.study.results import write_trial
    from growsearch.trainer import Trainer

    folder = create_study(tmp_path / "one", command="train", searched=[], trials=1)
    trainer = Trainer(TrialConfig(**SMALL))
    next(trainer), next(trainer)
    write_trial(folder, "a", trainer.config, trainer.history)
    trainer.save(folder / "state.safetensors")
    with pytest.raises(InputError, match="after epoch 2 are not in"):
        Study(folder).network("a")


def test_a_recorded_study_without_networks_says_so(recorded):
    with pytest.raises(InputError, match="train it again and export that: growsearch train"):
        recorded.network()


@pytest.mark.parametrize("epoch", ["last", "best"])
def test_export_and_load(capsys, one, tmp_path, epoch):
    out = tmp_path / "model.safetensors"
    study = Study(one)
    name = study.trials["trial_id"].item()
    code, shown, err = run(capsys, "export", one, name, "--out", out, "--epoch", epoch)
    assert (code, err) == (0, "")
    assert shown.startswith(f"{out}  ") and shown.strip().endswith("MB")
    record = study.epochs.iloc[-1]
    if epoch == "best":
        record = study.epochs.iloc[study.epochs["val_accuracy"].argmax()]
    is_as_recorded(load_network(out), study.config(), record)
    code, _, err = run(capsys, "export", one, name, "--out", out)
    assert code == 2 and "exists; choose another --out" in err


def loaded_after(code: str) -> set[str]:
    code += "\nimport sys; print(*(m for m in sys.modules if '.' not in m))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(out.stdout.split())


@pytest.mark.slow
def test_a_network_is_loaded_without_ray_and_pandas(one, tmp_path):
    file = Study(one).export(tmp_path / "model.safetensors")
    modules = loaded_after(f"import growsearch; growsearch.load_network({str(file)!r})")
    assert not modules & {"ray", "optuna", "pandas", "matplotlib"}
    modules = loaded_after(f"import growsearch; growsearch.Study({str(one)!r}).trials")
    assert not modules & {"ray", "optuna", "torch"}


@pytest.mark.parametrize("command", ["best", "export", "predict"])
def test_help_loads_nothing_heavy(command):
    code = f"from growsearch.cli import main\ntry: main(['{command}', '--help'])\n"
    assert not loaded_after(code + "except SystemExit: 0") & {"torch", "ray", "pandas", "numpy"}


def other_process(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "growsearch", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.long
def test_a_network_of_a_plugin_is_loaded_with_its_plugin(tmp_path):
    """Each command is another process, which has not loaded the plugin before."""
    plugin = ROOT / "examples/slim.py"
    study, model = tmp_path / "one", tmp_path / "model.safetensors"
    options = ["--network", "slim2resnet", "--architecture", "2-2", "--policy", "none"]
    options += ["--epochs", "1", "--train-size", "100"]
    assert other_process("train", "--plugin", plugin, *options, "--out", study).returncode == 0
    (copy,) = (study / "plugins").iterdir()
    without = other_process("export", study, "--out", model)
    assert without.returncode == 2
    assert f"add --plugin {copy} (in Python" in without.stderr
    best = json.loads(other_process("best", study, "--json").stdout)
    assert best["command"].startswith(f"growsearch train --plugin {copy} ")
    assert "--network slim2resnet" in best["command"]
    exported = other_process("export", study, "--plugin", copy, "--out", model)
    assert exported.returncode == 0, exported.stderr
    without = other_process("predict", model, ROOT / "docs/report.png")
    assert without.returncode == 2
    assert "network 'slim2resnet' is not known here" in without.stderr
    with_it = other_process("predict", model, ROOT / "docs/report.png", "--plugin", plugin)
    assert with_it.returncode == 0, with_it.stderr


SPACE = """
param_space = {
    "policy": "fixed", "epochs": 4, "train_size": 200, "lr": 0.1, "precision": "float32",
    "growth_epochs": {"grid_search": [(1,), (2,), (3,)]}, "scaling": "step-size",
}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    first_quick([{}, {"store": "none"}, {"state_megabytes": 0}], 1, slow=0),
    ids=str,
)
def test_each_trial_of_a_search_has_its_last_and_best_network(ray, tmp_path, settings):
    """Trials share epochs, and it is not the same one of them that trains an epoch each time."""
    from growsearch.tuning.tuner import run_search

    (tmp_path / "space.py").write_text(SPACE)
    run_search(tmp_path / "space.py", tmp_path / "study", cpus_per_trial=1, **settings)
    study = Study(tmp_path / "study")
    assert len(study.trials) == 3
    assert len(study.front())
    for _, trial in study.trials.iterrows():
        name, epochs = trial["trial_id"], study.epochs
        own = epochs[epochs["trial_id"] == name]
        for epoch, number in (("last", 4), ("best", trial["best_epoch"])):
            network = study.network(name, epoch)
            is_as_recorded(network, study.config(name), own[own["epoch"] == number].iloc[0])
    file = study.export(tmp_path / "model.safetensors")
    is_as_recorded(
        load_network(file),
        study.config(),
        study.trials.loc[study.trials["trial_id"] == study.best().trial].iloc[0],
    )
    assert torch.isfinite(load_network(file)(torch.zeros(1, 1, 8, 8))).all()
