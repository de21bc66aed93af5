"""A cluster of two nodes on this machine; one of them is lost while trials train."""

import json
import os
import shutil
import signal
import subprocess
import tempfile

import pandas as pd
import pytest
from conftest import RECORD, actors, driver, once, plain, until_remembered

from growsearch.cli import main
from growsearch.searches.ledger import Ledger
from growsearch.study.folder import LOG_FILE
from growsearch.study.results import config_of, read_study
from growsearch.study.summary import summarize
from growsearch.trainer import Trainer

SPACE = """
from ray import tune

param_space = {
    "policy": "fixed", "growth_epochs": [6], "epochs": 12, "train_size": 600,
    "lr": tune.grid_search([0.1, 0.05]),
}
"""


@pytest.fixture
def cluster(monkeypatch):
    """A head and a second node with room for one trial each."""
    import ray
    from ray.cluster_utils import Cluster

    ray.shutdown()
    # A folder of its own, with a short path: Ray's socket paths are limited in length.
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")
    monkeypatch.setenv("RAY_TMPDIR", folder)
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    cluster.add_node(num_cpus=1)
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    yield cluster
    ray.shutdown()
    cluster.shutdown()
    shutil.rmtree(folder)


def raylet_of(node):
    return node.all_processes["raylet"][0].process.pid


def trials_on(node):
    """The processes of trials whose parent is the node's raylet."""
    return [pid for pid, raylet in actors().items() if raylet == raylet_of(node)]


def check_alone(rows):
    """The trial's records equal those of the same trial without a search."""
    alone = pd.DataFrame([vars(record) for record in Trainer(config_of(rows.iloc[0]))])
    pd.testing.assert_frame_equal(
        alone[RECORD].map(plain), rows[RECORD].reset_index(drop=True).map(plain),
        check_exact=True, check_dtype=False,
    )  # fmt: skip


@pytest.mark.slow
def test_when_a_node_is_lost_its_trial_goes_on_from_its_newest_epoch_on_another(cluster, tmp_path):
    (lost,) = cluster.worker_nodes
    (tmp_path / "space.py").write_text(SPACE)
    out, before = tmp_path / "study", {}

    def both_train() -> bool:
        if not (out / LOG_FILE).exists():  # a ledger makes it if it is missing, as the search does
            return False
        before.update(Ledger(out).read_histories())
        return bool(trials_on(lost)) and sum(len(history) > 1 for history in before.values()) == 2

    def lose() -> None:
        for process in (raylet_of(lost), *trials_on(lost)):
            os.kill(process, signal.SIGKILL)
        cluster.remove_node(lost, allow_graceful=False)

    with once(both_train, lose):
        assert main(["search", str(tmp_path / "space.py"), "--out", str(out)]) == 0
    study = read_study(out)
    trials = summarize(study)
    assert trials["status"].tolist() == ["completed"] * 2
    log = [json.loads(line) for line in (out / "search.jsonl").read_text().splitlines()]
    (rest,) = [line for line in log if line.get("status") == "waiting"]
    assert rest["trial"] in before
    for name, rows in study.groupby("trial_id"):
        assert rows["epoch"].tolist() == list(range(1, 13))
        seconds = [record.seconds for record in before[name]]
        assert rows["seconds"].tolist()[: len(seconds)] == seconds  # equal times: not trained again
        check_alone(rows)


@pytest.mark.slow
def test_when_the_head_is_lost_another_machine_goes_on_from_the_copy_and_trains_nothing_twice(
    cluster, tmp_path
):
    """The driver and the study's disk are lost with it."""
    (tmp_path / "space.py").write_text(SPACE)
    store = tmp_path / "store"

    def search(out, address):
        return driver(
            "search", tmp_path / "space.py", "--out", out, "--store", store, "--resume",
            "--copy-to", tmp_path / "copy", "--address", address, stderr=subprocess.PIPE,
        )  # fmt: skip

    with search(tmp_path / "lost", cluster.address) as lost:
        until_remembered(store, 5, lost)
        cluster.remove_node(cluster.head_node, allow_graceful=False)
        lost.kill()
    trained = {path: path.stat().st_mtime_ns for path in (store / "records").glob("*/*")}
    again = search(tmp_path / "study", "local")
    _, err = again.communicate()
    assert again.returncode == 0, err.decode()
    assert "it goes on from its copy" in err.decode()
    study = read_study(tmp_path / "study")
    assert summarize(study)["status"].tolist() == ["completed"] * 2
    for _, rows in study.groupby("trial_id"):
        check_alone(rows)
    assert {path: path.stat().st_mtime_ns for path in trained} == trained


@pytest.mark.long
def test_a_trial_does_not_go_on_where_sums_round_otherwise_and_loses_nothing(tmp_path):
    """ATEN_CPU_CAPABILITY=default stands for a processor without AVX2."""
    space, out = tmp_path / "space.py", tmp_path / "out"
    space.write_text(SPACE)
    driver("search", space, "--out", out, "--budget", "param_epochs=1").wait()
    begun = read_study(out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATEN_CPU_CAPABILITY", "default")
        elsewhere = driver("resume", out, "--budget", "trials=9", stderr=subprocess.PIPE)
        _, err = elsewhere.communicate()
    assert err.decode().count("waits: it began where torch, processor or GPU are others") == 2
    trained = [name for name in RECORD if name != "status"]  # paused by the budget, then it waits
    pd.testing.assert_frame_equal(read_study(out)[trained], begun[trained], check_exact=True)
    driver("resume", out, "--budget", "trials=9").wait()
    study = read_study(out)
    assert summarize(study)["status"].tolist() == ["completed"] * 2
    for _, rows in study.groupby("trial_id"):
        check_alone(rows)
