"""Epochs in a store on a real S3 server: searches share it, and go on while it is away."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import replace

import boto3
import pandas as pd
import pytest
from conftest import RECORD, plain, run
from pyarrow import fs

from growsearch import read_study
from growsearch.doctor.storage import round_trip
from growsearch.epochs import store as stores
from growsearch.epochs.store import RECORDS, STATES, EpochStore, existing
from growsearch.study.results import config_of
from growsearch.trainer import Trainer
from growsearch.trial.config import TrialConfig
from growsearch.trial.status import Status

TRIAL = TrialConfig(
    dataset="digits",
    train_size=100,
    epochs=4,
    lr=0.1,
    policy="fixed",
    growth_epochs=(2,),
    precision="float32",
    compile="off",
)
SPACE = """
from ray import tune

param_space = {
    "policy": "fixed", "growth_epochs": tune.grid_search([[2], [3]]), "epochs": 4, "lr": 0.1,
    "train_size": 100, "precision": "float32", "compile": "off",
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of S3's protocol, in a process of its own, and how to reach it."""
    said = tmp_path_factory.mktemp("s3") / "said"
    with said.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
            stdout=file, stderr=file,
        )  # fmt: skip
    while "Running on http" not in said.read_text():
        assert process.poll() is None, said.read_text()
        time.sleep(0.05)
    address = said.read_text().partition("Running on ")[2].split()[0]
    urllib.request.urlopen(urllib.request.Request(f"{address}/epochs", method="PUT"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", address)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield process
    process.kill()
    process.wait()


def objects(folder: str) -> list[str]:
    """All that the server has below a folder; marks of folders end in a slash."""
    found = boto3.client("s3").list_objects_v2(Bucket="epochs", Prefix=folder)
    return [item["Key"] for item in found.get("Contents", [])]


def whole_address(folder: str) -> str:
    """For trials: Ray may have begun before the server, and the environment of its processes."""
    where = f"endpoint_override={os.environ['AWS_ENDPOINT_URL'].removeprefix('http://')}"
    return f"s3://testing:testing@epochs/{folder}?scheme=http&region=us-east-1&{where}"


@contextmanager
def hanging(server):
    """Within it the server takes requests and does not answer."""
    server.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.send_signal(signal.SIGCONT)


@pytest.mark.slow
@pytest.mark.usefixtures("server")
def test_doctor_leaves_on_the_server_at_most_the_mark_of_the_folder_that_it_looked_at():
    """pyarrow makes the mark when it removes a file; no other folder gets one."""
    boto3.client("s3").put_object(Bucket="epochs", Key="looked/mine", Body=b"mine")
    for place in ("looked/new/prefix", "looked"):
        assert round_trip("store", f"s3://epochs/{place}").status == "ok"
    assert set(objects("looked/")) <= {"looked/mine", "looked/", "looked/new/prefix/"}
    assert "looked/mine" in objects("looked/")
    assert round_trip("store", "s3://nowhere/new").status == "failed"


@pytest.mark.slow
@pytest.mark.usefixtures("server")
def test_a_trial_comes_from_the_server_to_the_last_bit_and_nothing_is_left_there():
    alone = [replace(record, key="") for record in Trainer(TRIAL)]
    for reused in (False, True):
        store = EpochStore("s3://epochs/one")
        found = list(Trainer(TRIAL, store=store))
        assert [record.reused for record in found] == [reused] * 4
        assert [replace(record, key="") for record in found] == alone
    store = existing("s3://epochs/one")
    assert len(list(store.entries(RECORDS))) == 5  # four epochs and a growth
    assert not store.damaged(RECORDS) and not store.damaged(STATES)
    left = store.files.get_file_info(fs.FileSelector("unfinished", recursive=True))
    assert [info.path for info in left if info.type == fs.FileType.File] == []


@pytest.mark.slow
def test_a_server_that_does_not_answer_holds_a_trial_for_seconds_and_then_not_at_all(
    server, monkeypatch, caplog
):
    """pyarrow alone waits for minutes with each request."""
    monkeypatch.setattr(stores, "PAUSES", (0.1,))
    alone = [replace(record, key="") for record in Trainer(TRIAL)]
    store = EpochStore("s3://epochs/two")
    trainer = Trainer(TRIAL, store=store)
    first = next(trainer)
    with hanging(server):
        began = time.monotonic()
        rest = list(trainer)
        assert time.monotonic() - began < 60
    assert caplog.text.count("training continues without it") == 1
    assert [replace(record, key="") for record in (first, *rest)] == alone
    assert rest[-1].status is Status.COMPLETED
    store._away_until = time.monotonic()  # the minute is over
    assert store.record(first.key) is not None


@pytest.mark.slow
@pytest.mark.parametrize("command", ["ls", "verify", "gc --state-megabytes 0"])
def test_a_server_that_stops_answering_while_a_store_is_listed_is_one_line(
    server, capsys, monkeypatch, command
):
    EpochStore("s3://epochs/five").remember("abc", {"epoch": 1})
    folder = EpochStore._folder

    def stops(store, kind, prefix):
        if prefix == 7:
            server.send_signal(signal.SIGSTOP)
        return folder(store, kind, prefix)

    monkeypatch.setattr(EpochStore, "_folder", stops)
    try:
        code, _, err = run(capsys, "store", *command.split(), "s3://epochs/five")
    finally:
        server.send_signal(signal.SIGCONT)
    assert (code, err.count("\n")) == (2, 1)
    assert "store 's3://epochs/five' cannot be read (" in err


@pytest.mark.long
@pytest.mark.usefixtures("ray")
def test_a_search_takes_from_the_server_what_another_has_trained(server, tmp_path, capsys):
    (tmp_path / "space.py").write_text(SPACE)
    store = whole_address("a")
    for out in ("first", "second"):
        code, _, err = run(
            capsys, "search", tmp_path / "space.py", "--dataset", "digits", "--store", store,
            "--out", tmp_path / out,
        )  # fmt: skip
        assert code == 0, err
    first, second = (read_study(tmp_path / out) for out in ("first", "second"))
    assert not first["reused"].all() and second["reused"].all()
    for study in (first, second):
        for _, rows in study.groupby("trial_id"):
            alone = pd.DataFrame([vars(r) for r in Trainer(config_of(rows.iloc[0]))])[RECORD]
            found = rows[RECORD].reset_index(drop=True).map(plain)
            pd.testing.assert_frame_equal(
                found, alone.map(plain), check_exact=True, check_dtype=False
            )


@pytest.mark.slow
@pytest.mark.usefixtures("server", "ray")
def test_a_search_whose_folder_is_lost_goes_on_from_its_copy_on_the_server(
    tmp_path, capsys, caplog
):
    (tmp_path / "space.py").write_text(SPACE)
    out, place = tmp_path / "study", "s3://epochs/copies/one"
    command = (
        "search", tmp_path / "space.py", "--dataset", "digits", "--out", out, "--copy-to", place,
        "--store", whole_address("two-places"), "--resume",
    )  # fmt: skip
    code, _, err = run(capsys, *command, "--budget", "trials=1", "--max-concurrent", 1)
    assert code == 0, err
    first = read_study(out)
    assert first["trial_id"].nunique() == 1
    shutil.rmtree(out)
    code, _, err = run(capsys, *command, "--budget", "trials=2")
    assert code == 0, err
    assert f"it goes on from its copy at {place}" in caplog.text
    study = read_study(out)
    assert list(study.groupby("trial_id")["status"].last()) == ["completed", "completed"]
    for _, rows in study.groupby("trial_id"):
        alone = pd.DataFrame([vars(r) for r in Trainer(config_of(rows.iloc[0]))])[RECORD]
        found = rows[RECORD].reset_index(drop=True).map(plain)
        pd.testing.assert_frame_equal(found, alone.map(plain), check_exact=True, check_dtype=False)
    code, _, err = run(capsys, "fetch", place, tmp_path / "elsewhere")
    assert code == 0, err
    assert read_study(tmp_path / "elsewhere").equals(study)
    assert (tmp_path / "elsewhere/report.html").read_bytes() == (out / "report.html").read_bytes()
    code, _, err = run(capsys, *command[:5], tmp_path / "other", "--copy-to", place)
    assert (code, "is of another study" in err) == (2, True)
    assert not (tmp_path / "other").exists()
