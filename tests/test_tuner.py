"""Searches on Ray; several tests examine one search."""

import os
import random
import shutil
import signal
from dataclasses import replace

import pandas as pd
import pytest
from conftest import RECORD, actors, driver, once, plain, record, until_remembered
from image_folders import write
from ray.tune.experiment import Experiment, Trial

from growsearch.cli import main
from growsearch.epochs.store import RECORDS, EpochStore
from growsearch.searches.ledger import Ledger
from growsearch.searches.messages import ActorOptions, Assignment, Report, StoreAccess
from growsearch.searches.sharing import Follower
from growsearch.study.comparisons import found_networks
from growsearch.study.epoch_tree import count_epochs
from growsearch.study.folder import read_info
from growsearch.study.results import config_of, read_study
from growsearch.study.summary import summarize
from growsearch.trainer import Trainer
from growsearch.trial.config import TrialConfig
from growsearch.trial.from_scratch import from_scratch
from growsearch.tuning.search_space import draw_trials, load_spaces
from growsearch.tuning.trainable import AssignedTrial
from growsearch.tuning.trial_queue import TrialQueue

SPACE = """
import random

from ray import tune

param_space = {
    "architecture": "2-2-2", "epochs": 5, "train_size": 200,
    "rtol": tune.uniform(1.0, 1.5), "window": tune.choice([1, 2]), "reserve": 1,
    "lr": tune.grid_search([0.1, 1e18]),
    "seed": tune.sample_from(lambda spec: random.randrange(1000)),
}
"""


@pytest.fixture(scope="module")
def search(ray, tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    (folder / "space.py").write_text(SPACE)
    arguments = f"search {folder}/space.py --trials 6 --search-seed 3 --max-concurrent 2"
    arguments += f" --out {folder}/study"
    return main(arguments.split()), folder


def test_a_diverged_trial_does_not_end_the_search(search):
    code, folder = search
    trials = summarize(read_study(folder / "study"))
    assert code == 0
    ends = trials.groupby("config/lr")["status"].agg(list).to_dict()
    assert ends == {0.1: ["completed"] * 3, 1e18: ["diverged"] * 3}
    assert (trials.loc[trials["status"] == "completed", "epochs"] == 5).all()


def configs(folder) -> list[TrialConfig]:
    """The configurations of the trials, in the order of the study."""
    rows = read_study(folder / "study").drop_duplicates("trial_id")
    return [config_of(row) for _, row in rows.iterrows()]


def test_the_trials_follow_the_search_seed(search):
    """All fields but `seed`, which the space draws from its own generator."""
    _, folder = search
    drawn = draw_trials(load_spaces(folder / "space.py"), 6, seed=3)
    assert [replace(c, seed=0) for c in configs(folder)] == [replace(c, seed=0) for c in drawn]


def test_a_trial_alone_has_the_same_records_to_the_last_bit(search):
    """This includes trials whose actor ran other trials before."""
    _, folder = search
    study = read_study(folder / "study")
    for config, (_, rows) in zip(configs(folder), study.groupby("trial_id"), strict=True):
        alone = pd.DataFrame([vars(record) for record in Trainer(config)])[RECORD].map(plain)
        in_search = rows[RECORD].reset_index(drop=True).map(plain)
        pd.testing.assert_frame_equal(alone, in_search, check_exact=True, check_dtype=False)


def test_the_study_says_how_it_was_made(search):
    _, folder = search
    info = read_info(folder / "study")
    assert info["space"] == SPACE
    assert info["searched"] == ["rtol", "window", "lr", "seed"]
    assert (info["trials"], info["search_seed"]) == (6, 3)
    assert info["resources_per_trial"] == {"cpu": 1, "gpu": 0}
    assert info["versions"]["torch"]
    assert info["settings"]["auto_precision"] == "float32"
    assert set(read_study(folder / "study")["precision"]) == {"float32"}


def test_the_search_ends_with_its_report(search):
    _, folder = search
    for name in ("report.html", "front.png", "front.csv"):
        assert (folder / "study" / name).stat().st_size > 0


def test_the_final_networks_are_in_the_store(search):
    _, folder = search
    store = EpochStore(str(folder / "study" / "epochs"))
    for config in configs(folder):
        trainer, alone = Trainer(config, store=store), Trainer(config)
        assert all(record.reused for record in trainer)
        list(alone)
        weights = alone.state.network.state_dict()
        assert str(trainer.state.network.state_dict()) == str(weights)


AUTOGROW = """
from ray import tune

both = {"finetune_epochs": 2, "epochs": 8, "train_size": 200, "max_architecture": "2-2-1"}
param_space = [
    {**both, "policy": "periodic", "interval": tune.grid_search([1, 2]), "patience": 2},
    {**both, "policy": "convergent", "interval": 1, "tau": 99, "initializer": "adam"},
    {"policy": "none", "epochs": 1, "train_size": 200},
]
"""


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
def test_each_network_that_is_found_is_trained_from_scratch_once(tmp_path, capsys):
    space, out = tmp_path / "autogrow.py", tmp_path / "autogrow"
    space.write_text(AUTOGROW)
    assert main(f"search {space} --from-scratch --max-concurrent 1 --out {out}".split()) == 0
    trials = summarize(read_study(out))
    drawn = draw_trials(load_spaces(space), None, seed=0)
    followed = [config_of(row) for _, row in trials.iloc[len(drawn) :].iterrows()]
    grown = trials[trials["config/policy"] != "none"]
    assert grown["status"].eq("completed").all()
    expected = {
        from_scratch(config_of(row), row["architecture"]).digest for _, row in grown.iterrows()
    }
    assert {config.digest for config in followed} == expected
    assert len(followed) == len(expected) < len(grown)  # two of three trials found the same network
    table = found_networks(trials).set_index("trial_id")
    for _, row in grown.iterrows():
        alone = list(Trainer(from_scratch(config_of(row), row["architecture"])))[-1]
        delta = row["val_accuracy"] - alone.val_accuracy
        assert table.loc[row["trial_id"], "val_delta"] == pytest.approx(delta, abs=1e-12)
    assert "Found networks" in capsys.readouterr().out


GRID = """
from itertools import combinations

from ray import tune

pairs = [list(pair) for pair in combinations(range(1, %d), 2)]
param_space = {
    "policy": "fixed", "growth_epochs": tune.grid_search(pairs), "epochs": 6,
    "train_size": 100, "lr": 0.1,
}
"""


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.usefixtures("ray")
@pytest.mark.parametrize("concurrent", [1, 2])
def test_with_a_store_each_distinct_epoch_is_trained_once(tmp_path, capsys, concurrent):
    """A second search over a finer grid trains only the new epochs."""
    paid = {}
    for name, last in (("coarse", 4), ("fine", 5)):
        (tmp_path / f"{name}.py").write_text(GRID % last)
        arguments = f"search {tmp_path}/{name}.py --store {tmp_path}/store --out {tmp_path}/{name}"
        assert main(f"{arguments} --max-concurrent {concurrent}".split()) == 0
        study = read_study(tmp_path / name)
        counts = count_epochs(study)
        trials = summarize(study)
        paid[name] = counts.paid
        assert trials["paid_epochs"].sum() == counts.paid
        assert trials["epochs"].eq(6).all() and trials["status"].eq("completed").all()
        if name == "coarse":
            assert counts.paid == counts.distinct == 15
            assert "15 trained of 18" in capsys.readouterr().out
    assert counts.distinct == 25
    assert paid["fine"] == 25 - 15
    for _, row in trials.iterrows():
        alone = pd.DataFrame([vars(record) for record in Trainer(config_of(row))])[RECORD]
        shared = study[study["trial_id"] == row["trial_id"]][RECORD].reset_index(drop=True)
        pd.testing.assert_frame_equal(
            alone.map(plain), shared.map(plain), check_exact=True, check_dtype=False
        )


@pytest.fixture
def grid(tmp_path):
    """A grid of 6 trials of 6 epochs; 25 epochs are distinct."""
    path = tmp_path / "grid.py"
    path.write_text(GRID.replace("100", "400") % 5)
    return path


@pytest.mark.long  # the chaos suite's faults in the slow lane kill a driver too
@pytest.mark.usefixtures("ray")
@pytest.mark.parametrize(
    ("at", "scheduler"),
    [((12,), []), ((4, 18), ["--scheduler", "pareto", "--racing", "3", "--alpha", "0.001"]),
     ((12,), ["--scheduler", "branches", "--alpha", "0.001"])],
    ids=["once", "twice, racing", "once, branches"],
)  # fmt: skip
def test_a_search_whose_driver_was_killed_is_resumed_as_if_it_had_not_been(
    tmp_path, grid, at, scheduler
):
    """It is killed early or late; no row is written twice, no trial lost, no epoch retrained. With
    so small an alpha the safe layer follows trials and stops none."""
    out = tmp_path / "study"
    command = ["search", grid, "--from-scratch", *scheduler, "--out", out]
    for epochs in at:
        with driver(*command) as killed:
            until_remembered(out / "epochs", epochs, killed)
            killed.kill()
        command = ["resume", out]
    ended = {n for n, t in Ledger.read(out).trials.items() if t.status.ended}
    files = {n: (out / "trials" / f"{n}.parquet").stat().st_mtime_ns for n in ended}
    assert main(["resume", str(out)]) == 0
    assert main(["store", "verify", str(out / "epochs")]) == 0
    study = read_study(out)
    trials = summarize(study)
    assert trials["status"].eq("completed").all()
    assert study.groupby("trial_id")["epoch"].agg(list).eq([[1, 2, 3, 4, 5, 6]] * 7).all()
    assert count_epochs(study).paid == count_epochs(study).distinct == 25 + 6
    for name, written in files.items():
        assert (out / "trials" / f"{name}.parquet").stat().st_mtime_ns == written
    assert main(["search", str(grid), "--from-scratch", "--out", str(tmp_path / "whole")]) == 0
    whole = read_study(tmp_path / "whole")
    columns = ["trial_id", *RECORD]
    pd.testing.assert_frame_equal(
        study[columns].map(plain), whole[columns].map(plain), check_exact=True
    )


@pytest.mark.slow
@pytest.mark.long
def test_a_search_that_has_ended_can_be_extended(search, tmp_path, capsys):
    _, folder = search
    study = str(shutil.copytree(folder / "study", tmp_path / "study"))
    before = read_study(study)
    assert main(["resume", study]) == 0
    pd.testing.assert_frame_equal(read_study(study), before)
    assert main(["resume", study, "--extend", "2"]) == 0
    after = read_study(study)
    assert after["trial_id"].nunique() == 8
    assert len(summarize(after)["config/rtol"].unique()) == 8
    old = after[after["trial_id"].isin(before["trial_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(old, before)
    assert main(["resume", str(tmp_path)]) == 2
    assert "is not a study" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("killed", [False, True], ids=["both end", "one is killed"])
def test_two_searches_at_once_over_one_store_train_each_epoch_once(tmp_path, grid, killed):
    """The other search trains the killed search's epoch; neither loses an epoch or hangs."""
    store = EpochStore(str(tmp_path / "store"))
    one, other = (
        driver("search", grid, "--store", store.place, "--out", tmp_path / n) for n in "ab"
    )
    with one, other:
        if killed:
            until_remembered(store.place, 12, other)
            other.kill()
    assert one.returncode == 0
    study = read_study(tmp_path / "a")
    counts = count_epochs(study)
    trials = summarize(study)
    assert (counts.nominal, counts.distinct) == (36, 25)
    assert len(trials) == 6 and trials["status"].eq("completed").all()
    others = Ledger.read(tmp_path / "b").paid["epochs"]
    assert counts.paid + others == 25 or (killed and counts.paid + others < 25)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.usefixtures("ray")
@pytest.mark.parametrize("max_failures", [0, 1])
def test_when_a_trials_actor_is_killed_it_or_another_goes_on(tmp_path, grid, max_failures, capsys):
    store = EpochStore(str(tmp_path / "store"))
    before = set(actors())

    def trains() -> bool:
        return bool(set(actors()) - before) and len(list(store.entries(RECORDS))) >= 2

    def kill() -> None:
        os.kill(min(set(actors()) - before), signal.SIGKILL)

    arguments = f"search {grid} --store {store.place} --max-concurrent 1 --out {tmp_path}/study"
    with once(trains, kill):
        code = main([*arguments.split(), "--max-failures", str(max_failures)])
    study = read_study(tmp_path / "study")
    counts, statuses = count_epochs(study), sorted(summarize(study)["status"])
    if max_failures:
        assert code == 0
        assert statuses == ["completed"] * 6
        assert counts.paid == counts.distinct == 25
    else:
        assert code == 1
        assert statuses == ["completed"] * 5 + ["failed"]
        assert counts.paid <= counts.distinct <= 25
        err = capsys.readouterr().err
        assert err.startswith("growsearch search: trial 0000") and err.count("\n") == 1


def test_a_waiting_trial_takes_over_when_the_running_one_fails(tmp_path):
    ledger = Ledger(tmp_path)
    first, second = (
        ledger.add(TrialConfig(policy="fixed", growth_epochs=g, epochs=6)) for g in ((2, 4), (2, 5))
    )
    store = StoreAccess(place=str(tmp_path / "epochs"), owner="this search")
    queue = TrialQueue(ledger, options=ActorOptions(store=store))
    queue.waiting.remove(first.name)
    queue.running, queue.started = {"a": first}, {"a": Trial("t", stub=True)}
    assert queue._must_wait(second.name, queue._leads())
    queue.on_trial_complete("a", error=True)
    assert not queue._must_wait(second.name, queue._leads())


def test_who_waits_is_who_would_train_an_epoch_that_runs(tmp_path):
    """Asked again after each result, and compared with followers that are made anew each time."""
    ledger, draw = Ledger(tmp_path), random.Random(0)
    for _ in range(12):
        growths = tuple(sorted(draw.sample(range(1, 6), 2)))
        seed = draw.randrange(2)
        ledger.add(TrialConfig(policy="fixed", growth_epochs=growths, epochs=6, seed=seed))
    trials = list(ledger.trials.values())
    store = StoreAccess(place=str(tmp_path / "epochs"), owner="this search")
    queue = TrialQueue(ledger, options=ActorOptions(store=store))
    known = set()
    for _ in range(60):
        chosen = draw.choice(trials)
        tunes = chosen.name
        if tunes not in queue.running:
            queue.running[tunes], queue.started[tunes] = chosen, Trial("t", stub=True)
        elif len(chosen.history) < 5:
            chosen.history = chosen.history.plus(record(len(chosen.history) + 1))
        else:
            del queue.running[tunes], queue.started[tunes]
            queue._lead_no_more(tunes)
        leads = queue._leads()
        for waiting in trials:
            if waiting.name in queue.running:
                continue
            expected = any(
                Follower(waiting.config, leader.config).update(leader.history)
                for leader in queue.running.values()
            )
            assert queue._must_wait(waiting.name, leads) == expected
            known.add(expected)
    assert known == {True, False}


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
def test_what_a_trial_raises_is_why_it_failed(tmp_path, capsys):
    """A held-out picture cannot be read; the trial reads it after the first epoch."""
    pictures = write(tmp_path / "pictures", train=6, val=3)
    (pictures / "val/n02/06.jpeg").write_bytes(b"cut short")
    space = tmp_path / "space.py"
    space.write_text(
        "param_space = {'dataset': 'imagenet', 'network': 'basic4resnet-imagenet', 'epochs': 1,\n"
        "'architecture': '1-1-1-1', 'policy': 'none', 'batch_size': 4, 'split': 'autogrow-paper'}"
    )
    options = f"--data-dir {pictures} --max-failures 0 --out {tmp_path}/out"
    assert main(["search", str(space), *options.split()]) == 1
    err = capsys.readouterr().err
    assert err.startswith(
        f"growsearch search: trial 00000 failed: {pictures}/val/n02/06.jpeg cannot"
    )
    assert err.endswith("; get the file again or remove it\n")
    assert err.count("\n") == 1


def test_a_trial_goes_on_with_what_auto_came_to_when_it_began(tmp_path):
    """A different measurement, now or on another host, does not change it."""
    (tmp_path / "trials").mkdir()
    ledger = Ledger(tmp_path)
    new, begun = (ledger.add(TrialConfig(rtol=rtol)).name for rtol in (1.2, 1.4))
    ledger.start(begun)
    ledger.enter(begun, Report(record=record(1, precision="bfloat16", compiled=True)))
    ledger.close()
    queue = TrialQueue(Ledger.read(tmp_path))
    queue.add_configurations([Experiment("search", AssignedTrial)])
    sent = [Assignment.from_dict(queue.next_trial().config) for _ in range(2)]
    decided = {one.name: (one.trial.precision, one.trial.compile) for one in sent}
    assert decided == {new: ("auto", "auto"), begun: ("bfloat16", "on")}


@pytest.mark.parametrize(
    ("option", "named"),
    [("--cpus-per-trial 4096", "cpus_per_trial=4096"), ("--gpus-per-trial 8", "gpus_per_trial=8")],
)
def test_resources_that_ray_does_not_have_are_an_error_before_the_study(
    search, capsys, tmp_path, option, named
):
    _, folder = search
    out = tmp_path / "study"
    arguments = f"search {folder}/space.py --trials 2 {option} --out {out}"
    assert main(arguments.split()) == 2
    err = capsys.readouterr().err
    assert named in err
    assert err.count("\n") == 1
    assert not out.exists()
