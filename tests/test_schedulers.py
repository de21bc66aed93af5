"""Searches on Ray whose trials are stopped, paused and resumed."""

import json
import shutil
from dataclasses import replace

import optuna
import pandas as pd
import pytest

from growsearch import Trainer
from growsearch.cli import main
from growsearch.searches.ledger import Ledger, only_writer
from growsearch.study.epoch_tree import count_epochs
from growsearch.study.outcomes import Audit, audit
from growsearch.study.results import read_study
from growsearch.study.summary import summarize

GRID = """
from ray import tune

param_space = {
    "policy": "fixed", "growth_epochs": tune.grid_search([[n] for n in range(5, 11)]),
    "epochs": 12, "train_size": 100, "lr": 0.1,
}
"""
RANDOM = """
from ray import tune

param_space = {
    "rtol": tune.uniform(1.0, 1.5), "window": tune.choice([1, 2]), "reserve": 1,
    "epochs": 4, "train_size": 100, "lr": tune.loguniform(0.01, 0.1),
}
"""
RATES = GRID.replace("tune.grid_search([[n] for n in range(5, 11)])", "[8]").replace(
    '"lr": 0.1', '"lr": tune.grid_search([0.1, 0.05, 1e-3, 1e-4, 1e-5, 1e-6])'
)
"""Of equal cost, and the smaller the learning rate the less accurate."""
SEEDS = GRID.replace("[[n] for n in range(5, 11)]", "[[8]]").replace(
    '"lr"', '"seed": tune.grid_search([0, 1, 2, 3, 4]), "lr"'
)
SPACES = {
    "grid": GRID, "random": RANDOM, "rates": RATES, "seeds": SEEDS,
    "pair": GRID.replace("range(5, 11)", "(1, 2)").replace('"epochs": 12', '"epochs": 3'),
    "wide": RATES.replace("0.05, 1e-3, 1e-4, 1e-5,", ""),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(ray, tmp_path_factory):
    """A file of each space, which nothing changes."""
    folder = tmp_path_factory.mktemp("spaces")
    for name, text in SPACES.items():
        (folder / f"{name}.py").write_text(text)
    return folder


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    """The study of the grid, searched without disturbance; nothing changes it."""
    return undisturbed(folder / "grid.py", tmp_path_factory)


@pytest.fixture(scope="module")
def pair(folder, tmp_path_factory):
    """Likewise, of two short trials."""
    return undisturbed(folder / "pair.py", tmp_path_factory)


@pytest.fixture(scope="module")
def rates(folder, tmp_path_factory):
    return undisturbed(folder / "rates.py", tmp_path_factory)


def undisturbed(space, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "study"
    assert main(["search", str(space), "--max-concurrent", "1", "--out", str(out)]) == 0
    return out


def log(study):
    return [json.loads(line) for line in (study / "search.jsonl").read_text().splitlines()]


def statuses(study):
    return summarize(read_study(study))["status"].tolist()


def records(study):
    columns = ["trial_id", "epoch", "key", "train_loss", "val_accuracy", "lipschitz", "grew"]
    return read_study(study)[columns]


@pytest.mark.long
def test_racing_trials_pause_and_go_on_to_the_records_of_the_undisturbed_search(
    folder, rates, tmp_path
):
    out = tmp_path / "racing"
    options = "--scheduler pareto --racing 2 --audit 0 --alpha 0.01"
    assert main(["search", f"{folder}/rates.py", *options.split(), "--out", str(out)]) == 0
    paused = [line for line in log(out) if line.get("status") == "paused"]
    assert paused and all("at rung" in line["reason"] for line in paused)
    assert statuses(out) == ["completed"] * 6
    pd.testing.assert_frame_equal(records(out), records(rates), check_exact=True)
    assert count_epochs(read_study(out)).paid == 6 * 12


@pytest.mark.slow
@pytest.mark.long
def test_a_search_ends_at_its_budget_and_goes_on_with_a_larger_one(folder, whole, tmp_path, capsys):
    out = tmp_path / "budget"
    rows = read_study(whole)
    paid = rows.loc[~rows["reused"], "parameters"]
    budget = paid.sum() / 2
    search = ["search", f"{folder}/grid.py", "--out", str(out)]
    assert main([*search, "--budget", f"param_epochs={budget}"]) == 0
    study = read_study(out)
    spent = study.loc[~study["reused"], "parameters"].sum()
    assert budget <= spent <= budget + 2 * paid.max()  # two running trials may add an epoch each
    assert set(statuses(out)) <= {"completed", "paused"} and "paused" in statuses(out)
    assert main(["resume", str(out), "--budget", "trials=6"]) == 0
    pd.testing.assert_frame_equal(records(out), records(whole), check_exact=True)
    capsys.readouterr()
    assert main([*search, "--budget", "parameters=3"]) == 2
    assert "unknown budget 'parameters'" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.long
def test_trials_that_have_begun_do_not_go_on_with_other_threads(folder, tmp_path, capsys):
    """With another number of threads, sums would round differently."""
    out = tmp_path / "begun"
    search = ["search", f"{folder}/grid.py", "--out", str(out), "--budget", "param_epochs=1"]
    assert main(search) == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main(["resume", str(out), "--cpus-per-trial", "2"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "began with cpus_per_trial=1 and would give other bits with cpus_per_trial=2; set" in err
    after = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.slow
def test_the_safe_layer_stops_what_a_completed_trial_dominates(folder, tmp_path, capsys):
    """With a slack of 100 points a completed trial dominates every trial of equal cost."""
    options = "--scheduler pareto --alpha 0.5 --delta 100 --audit 0 --max-concurrent 1"
    out = tmp_path / "stopped"
    assert main(["search", f"{folder}/seeds.py", *options.split(), "--out", str(out)]) == 0
    assert statuses(out) == ["completed"] * 3 + ["stopped"] * 2
    assert "2 trials stopped, 0 paused; audit: 0 of 0" in capsys.readouterr().out
    trials = summarize(read_study(out))
    stopped = trials[trials["status"] == "stopped"]
    assert stopped["epochs"].eq(1).all()
    assert stopped["reason"].str.startswith("dominated by trial 0000").all()
    completed = trials[trials["status"] == "completed"]
    assert completed[["reason", "dominated_by"]].isna().all(axis=None)
    assert stopped["dominated_by"].isin(completed["trial_id"]).all()
    # All trials have one schedule, so their equal cost is exact from the first epoch on.
    assert stopped["bound/ppe"].tolist() == pytest.approx([completed["ppe"].iloc[0]] * 2)
    assert stopped["bound/val_accuracy"].between(0, 100).all()


@pytest.mark.slow
@pytest.mark.long
def test_the_files_tell_what_the_audit_told(folder, tmp_path, capsys):
    """All trials are audited. Once three have calibrated the bound, it would stop the others."""
    options = "--scheduler pareto --alpha 0.5 --delta 100 --audit 1 --max-concurrent 1"
    out = tmp_path / "audited"
    assert main(["search", f"{folder}/seeds.py", *options.split(), "--out", str(out)]) == 0
    assert "0 trials stopped, 0 paused; audit: 0 of 2" in capsys.readouterr().out
    assert statuses(out) == ["completed"] * 5
    study = read_study(out)
    assert len(study) == 5 * 12
    trials = summarize(study)
    assert trials["dominated_by"].notna().sum() == 2
    assert audit(trials) == Audit(judged=2, wrong=0)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_optuna_draws_the_trials_and_learns_how_they_ended(folder, tmp_path, sampler):
    out = tmp_path / sampler
    arguments = ["search", f"{folder}/random.py", "--sampler", sampler, "--out", str(out)]
    assert main([*arguments, "--trials", "4"]) == 0
    assert main(["resume", str(out), "--extend", "2"]) == 0
    trials = summarize(read_study(out))
    study = optuna.load_study(study_name="growsearch", storage=f"sqlite:///{out}/optuna.db")
    told = {trial.user_attrs["name"]: trial for trial in study.trials}
    assert set(told) == set(trials["trial_id"]) and len(told) == 6
    for _, row in trials.iterrows():
        trial = told[row["trial_id"]]
        assert trial.state.name == "COMPLETE"
        assert trial.values == [row["ppe"], row["val_accuracy"]]
        assert trial.params["rtol"] == row["config/rtol"]


@pytest.mark.slow
@pytest.mark.long
def test_hyperband_pauses_trials_that_go_on_to_the_records_of_the_undisturbed_search(
    folder, rates, tmp_path
):
    out = tmp_path / "hyperband"
    search = ["search", f"{folder}/rates.py", "--scheduler", "hyperband", "--out", str(out)]
    assert main(search) == 0
    paused = [line for line in log(out) if line.get("status") == "paused"]
    assert any(line["reason"] == "until its bracket has come as far" for line in paused)
    assert {"completed"} < set(statuses(out)) <= {"completed", "stopped"}
    undisturbed, found = records(rates), records(out)
    reached = set(zip(found["trial_id"], found["epoch"], strict=True))
    pairs = zip(undisturbed["trial_id"], undisturbed["epoch"], strict=True)
    expected = undisturbed[[pair in reached for pair in pairs]].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


@pytest.mark.slow
@pytest.mark.long
def test_a_population_replaces_its_worst_by_trials_that_train_alone_to_the_same(folder, tmp_path):
    out = tmp_path / "population"
    assert main(["search", f"{folder}/wide.py", "--scheduler", "pbt", "--out", str(out)]) == 0
    trials, study = summarize(read_study(out)), read_study(out)
    joined = trials[trials["config/optimizer_changes"].notna()]
    replaced = trials[trials["status"] == "stopped"]
    assert len(joined) == len(replaced) > 0
    reasons = " ".join(replaced["reason"])
    assert all(f"for trial {name}, which goes on from" in reasons for name in joined["trial_id"])
    assert count_epochs(study).paid == count_epochs(study).distinct
    changes = joined["config/optimizer_changes"].str
    assert changes.fullmatch(r"(\d+:lr=\S+ \d+:weight_decay=\S+ ?)+").all()
    ledger = Ledger.read(out)
    last = ledger.trials[joined["trial_id"].iloc[-1]]
    alone = list(Trainer(replace(last.config, device="cpu")))
    mine = study[study["trial_id"] == last.name]
    assert mine["val_accuracy"].tolist() == [r.val_accuracy for r in alone][: len(mine)]
    assert mine["lr"].tolist() == [r.lr for r in alone][: len(mine)]


def test_schedulers_that_cannot_do_what_is_asked_say_so(folder, tmp_path, capsys):
    search = ["search", f"{folder}/random.py", "--out", f"{tmp_path}/no", "--trials", "2"]
    assert main([*search, "--scheduler", "pbt", "--sampler", "tpe"]) == 2
    assert "'pbt' draws trials itself" in capsys.readouterr().err
    assert main([*search, "--scheduler", "hyperband", "--store", "none"]) == 2
    assert "scheduler 'hyperband' pauses trials" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.long
def test_tunes_own_schedulers_say_what_they_are_blind_to(folder, tmp_path, capsys):
    out = tmp_path / "asha"
    assert main(["search", f"{folder}/grid.py", "--scheduler", "asha", "--out", str(out)]) == 0
    assert "blind to cost" in capsys.readouterr().out
    assert set(statuses(out)) <= {"completed", "stopped"}


def test_a_search_cannot_race_without_the_pareto_scheduler(folder, tmp_path, capsys):
    arguments = ["search", f"{folder}/grid.py", "--racing", "3", "--out", f"{tmp_path}/none"]
    belongs = "racing=3 belongs to scheduler 'pareto', but scheduler is"
    for more, chosen in (([], "none"), (["--scheduler", "asha"], "asha")):
        assert main([*arguments, *more]) == 2
        err = capsys.readouterr().err
        assert f"{belongs} {chosen!r}; leave racing out or choose 'pareto'\n" in err


@pytest.mark.slow
@pytest.mark.long
def test_a_trial_that_hangs_fails_and_the_search_goes_on(folder, tmp_path, capsys):
    """Any epoch longer than ten milliseconds counts as hanging."""
    out = tmp_path / "hangs"
    arguments = f"search {folder}/random.py --trials 2 --epoch-timeout 0.01 --max-failures 1"
    assert main([*arguments.split(), "--out", str(out)]) == 1
    assert [line["status"] for line in log(out) if "status" in line].count("failed") == 2
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 2 and all("failed:" in line for line in err)


@pytest.mark.slow
def test_two_processes_do_not_run_one_search(pair, tmp_path, capsys):
    study = shutil.copytree(pair, tmp_path / "study")
    with only_writer(study):
        assert main(["resume", str(study)]) == 2
    assert "is running in another process" in capsys.readouterr().err
    assert main(["resume", str(study)]) == 0


@pytest.mark.slow
def test_a_grid_that_has_run_cannot_be_extended(pair, capsys):
    assert main(["resume", str(pair), "--extend", "6"]) == 2
    assert (
        "extend=6 adds no trial: all configurations that the space has" in capsys.readouterr().err
    )
