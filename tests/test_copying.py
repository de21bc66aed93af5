"""The copy of a study: what it has, who writes it, and how a study comes back from it."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path

import pytest
import torch
from conftest import ROOT, record, run
from failing_server import Server, working_server
from pyarrow import fs

from growsearch import read_study
from growsearch.epochs.kept_networks import KeptNetworks, kept_weights
from growsearch.machine.mirror import Mirror
from growsearch.searches import ledger as ledgers
from growsearch.searches.ledger import Ledger
from growsearch.searches.messages import ActorOptions, Assignment, Report
from growsearch.study import copying
from growsearch.study.copying import (
    StudyCopy,
    check_copy,
    check_new_copy,
    copied,
    copy_report,
    fetch_study,
)
from growsearch.study.folder import create_study
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import History
from growsearch.tuning.trainable import AssignedTrial


def contents(folder) -> dict[str, bytes]:
    """Each file of the folder by its name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def study(tmp_path):
    """A search of which one trial has an epoch and a network, and that still runs."""
    folder = create_study(tmp_path / "study", command="search", searched=[])
    ledger = Ledger(folder)
    name = ledger.add(TrialConfig()).name
    ledger.add(TrialConfig(seed=1))
    ledger.start(name)
    ledger.enter(name, Report(record=record(1)))
    ledger.close()
    for place, text in {
        "space.py": "param_space = {}", f"networks/{name}/abc.safetensors": "weights",
        "plugins/own.py": "pass", "search.lock": "", "tune/state.json": "{}",
        "epochs/records/ab/abc": "record", "ended.parquet": "cache", ".hidden": "", "a (1).txt": "",
        "trials/00001.parquet.unfinished": "half",
    }.items():  # fmt: skip
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text)
    return folder


def of_the_study(study) -> dict[str, bytes]:
    left_out = ("tune/", "epochs/", "search.lock", "ended.parquet", ".hidden", "a (1).txt")
    return {
        name: content
        for name, content in contents(study).items()
        if not name.startswith(left_out) and not name.endswith(".unfinished")
    }


@pytest.fixture
def place(tmp_path):
    return str(tmp_path / "copy")


def copy_of(place) -> dict[str, bytes]:
    found = contents(Path(place))
    assert found.pop("copied_by")
    return found


def check_consistent(folder) -> None:
    """A search can go on from the study: no result of its log is missing in its tables."""
    ledger = Ledger.read(folder)
    for name, epochs in ledger.results():
        assert len(ledger.read_histories()[name]) >= epochs


def test_a_copy_has_each_file_of_the_study_but_store_caches_and_state_of_tune(study, place):
    StudyCopy(study, place).update()
    there = copy_of(place)
    assert there == of_the_study(study)
    assert {"study.json", "search.jsonl", "trials/00000.parquet", "space.py"} < set(there)


def test_a_copy_follows_what_changes_and_the_networks_that_trials_drop(study, place):
    copy = StudyCopy(study, place)
    copy.update()
    (study / "networks/00000/abc.safetensors").unlink()
    (study / "networks/00000/abd.safetensors").write_text("other weights")
    with (study / "search.jsonl").open("a") as log:
        log.write("{}\n")
    before = Path(place, "space.py").stat().st_mtime_ns
    for _ in range(2):
        copy.update()
    assert copy_of(place) == of_the_study(study)
    assert Path(place, "space.py").stat().st_mtime_ns == before


def test_no_table_in_a_copy_is_behind_its_log_whatever_is_written_meanwhile(
    study, place, tmp_path, monkeypatch
):
    ledger, changed, epoch = Ledger.read(study), Mirror.changed, count(2)
    monkeypatch.setattr(ledgers, "SECONDS_BEHIND", -1)  # each result has its table written

    def busy(mirror, name):
        found = changed(mirror, name)
        ledger.enter("00000", Report(record=record(next(epoch))))
        return found

    monkeypatch.setattr(Mirror, "changed", busy)
    StudyCopy(study, place).update()
    check_consistent(fetch_study(place, tmp_path / "back"))
    assert len(Ledger.read(tmp_path / "back").trials["00000"].history) > 1


@pytest.mark.parametrize("writes", range(12))
def test_whenever_copying_is_cut_short_a_search_can_go_on_from_what_is_there(
    study, place, tmp_path, monkeypatch, writes
):
    monkeypatch.setattr(ledgers, "SECONDS_BEHIND", -1)
    copy = StudyCopy(study, place)
    copy.update()
    ledger = Ledger.read(study)
    ledger.start("00000")
    ledger.enter("00000", Report(record=record(2)))
    joined = ledger.add(TrialConfig(seed=2)).name  # as a sampler adds one
    ledger.enter(joined, Report(record=record(1, key="other")))
    ledger.close()
    write, left = Mirror.write, count(writes, -1)

    def cut(mirror, name, changed):
        if next(left) <= 0:
            raise OSError("the server is gone")
        write(mirror, name, changed)

    monkeypatch.setattr(Mirror, "write", cut)
    copy.update()
    monkeypatch.setattr(Mirror, "write", write)
    check_consistent(fetch_study(place, tmp_path / "back"))


def test_a_copy_becomes_a_study_when_the_results_are_there_and_networks_come_last(
    study, place, monkeypatch
):
    written = []
    (study / "report.html").write_text("a page")
    monkeypatch.setattr(Mirror, "write", lambda self, name, changed: written.append(name))
    StudyCopy(study, place).update()
    last = ["search.jsonl", "study.json", "networks/00000/abc.safetensors", "report.html"]
    assert written[-4:] == last
    assert set(written) == set(of_the_study(study))


def test_a_study_that_is_deleted_while_it_runs_stays_in_its_copy(study, place):
    """Its files may go one after the other, while the copy is brought up to date."""
    copy = StudyCopy(study, place)
    copy.update()
    before = copy_of(place)
    (study / "networks/00000/abd.safetensors").write_text("other weights")
    networks = ("networks/00000/abc.safetensors", "networks/00000/abd.safetensors")
    for path in (*networks, "study.json", "search.jsonl"):
        (study / path).unlink()
        copy.update()
    shutil.rmtree(study)
    for _ in range(3):
        copy.update()
    copy.finish()
    assert copy_of(place) == before | {"networks/00000/abd.safetensors": b"other weights"}
    assert not study.exists()


def test_what_a_kill_has_left_unfinished_in_a_copy_is_removed_and_nothing_else(study, place):
    StudyCopy(study, place).update()
    before = copy_of(place)
    for name in ("networks/00000/old.pt.unfinished", "another study/trials/x.parquet.unfinished"):
        path = Path(place, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    Path(place, "notes.txt").write_text("mine")
    StudyCopy(study, place).finish()
    others = {"another study/trials/x.parquet.unfinished": b"half", "notes.txt": b"mine"}
    assert copy_of(place) == before | others
    assert not (study / "notes.txt").exists()


def test_a_study_comes_back_from_its_copy(study, place):
    StudyCopy(study, place).update()
    expected, rows = of_the_study(study), read_study(study)
    shutil.rmtree(study)
    assert fetch_study(place, study) == study
    assert contents(study) == expected
    assert read_study(study).equals(rows)
    assert [len(trial.history) for trial in Ledger.read(study).trials.values()] == [1, 0]


def test_so_does_one_that_has_no_epoch_yet(tmp_path, place):
    folder = create_study(tmp_path / "study", command="search", searched=[])
    Ledger(folder).add(TrialConfig())
    StudyCopy(folder, place).update()
    shutil.rmtree(folder)
    (trial,) = Ledger.read(fetch_study(place, folder)).trials.values()
    assert trial.history == History()


def test_files_that_no_study_has_are_left_out_with_a_warning(study, place, tmp_path, caplog):
    StudyCopy(study, place).update()
    Path(place, "networks/-x").write_text("")
    fetch_study(place, tmp_path / "back")
    assert "1 files of" in caplog.text and "'networks/-x'" in caplog.text
    assert contents(tmp_path / "back") == of_the_study(study)


FETCHES = """
import subprocess, sys
from growsearch.study.copying import fetch_study

place, folder = sys.argv[1:]
subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
fetch_study(place, folder)
subprocess.run(["cp", "-r", f"{folder}/.", f"{folder}.seen"], check=True)
"""


def test_a_study_is_fetched_into_a_mount_point(study, place, tmp_path):
    if subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        pytest.skip("this user may not mount anything")
    StudyCopy(study, place).update()
    (tmp_path / "disk").mkdir()
    subprocess.run(
        ["unshare", "-rm", sys.executable, "-c", FETCHES, place, tmp_path / "disk"],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True,
    )  # fmt: skip
    assert contents(tmp_path / "disk.seen") == of_the_study(study)
    assert not (tmp_path / "disk.unfinished").exists()


@pytest.mark.parametrize("moved", [None, 0, 1, 3])
def test_a_fetch_that_was_killed_is_gone_on_with(study, place, tmp_path, moved):
    """It was killed while it copied files, or once some files were moved to their place."""
    StudyCopy(study, place).update()
    whole = fetch_study(place, tmp_path / "whole")
    back = tmp_path / "back"
    back.mkdir()
    if moved is None:
        shutil.copytree(whole / "trials", back / "fetching.unfinished/trials")
    else:
        left = shutil.copytree(whole, back / "fetched.unfinished")
        for path in sorted(left.iterdir(), key=lambda path: path.name == "study.json")[:moved]:
            path.rename(back / path.name)
    if moved:
        other = create_study(tmp_path / "other", command="search", searched=[])
        StudyCopy(other, f"{place}2").update()
        with pytest.raises(InputError, match="holds other files; nothing was changed"):
            fetch_study(f"{place}2", back)
    assert fetch_study(place, back) == back
    assert contents(back) == of_the_study(study)


def test_the_command_fetches_a_study_and_says_why_it_cannot(study, place, tmp_path, capsys):
    StudyCopy(study, place).update()
    code, out, _ = run(capsys, "fetch", place, tmp_path / "back")
    assert (code, out) == (0, f"study    {tmp_path / 'back'}, from {place}\n")
    for given, folder, why in (
        (place, tmp_path / "back", "holds another study; nothing was changed: give a new one"),
        (tmp_path / "nothing", tmp_path / "new", "give the place that --copy-to named"),
        ("s3:/bucket/copy", tmp_path / "new", "give one like s3://bucket/copy"),
    ):
        code, _, err = run(capsys, "fetch", given, folder)
        assert (code, len(err.splitlines())) == (2, 1)
        assert why in err
    assert not (tmp_path / "new").exists() and not (tmp_path / "nothing").exists()


def test_a_place_with_another_study_is_refused_and_not_changed(study, place, tmp_path):
    StudyCopy(study, place).update()
    before = contents(Path(place))
    other = create_study(tmp_path / "other", command="search", searched=[])
    with pytest.raises(InputError, match="is of another study"):
        check_copy(place, other)
    with pytest.raises(InputError, match="is of another study"):
        check_new_copy(place, tmp_path / "new")
    StudyCopy(other, place).finish()
    assert contents(Path(place)) == before


def test_a_study_that_has_gone_on_from_its_copy_is_not_overwritten_by_the_old_folder(
    study, place, tmp_path
):
    StudyCopy(study, place).update()
    elsewhere = fetch_study(place, tmp_path / "elsewhere")
    Ledger.read(elsewhere).add(TrialConfig(seed=2))
    check_copy(place, elsewhere)
    StudyCopy(elsewhere, place).update()
    before = contents(Path(place))
    with pytest.raises(InputError, match=r"behind its copy .* move the folder away"):
        check_copy(place, study)
    StudyCopy(study, place).finish()
    assert contents(Path(place)) == before


def test_a_long_log_is_compared_to_its_end(study, place, tmp_path, monkeypatch):
    """The first bytes of both are equal, as of a log of hundreds of megabytes."""
    StudyCopy(study, place).update()
    elsewhere = fetch_study(place, tmp_path / "elsewhere")
    Ledger.read(elsewhere).add(TrialConfig(seed=2))
    StudyCopy(elsewhere, place).update()
    longest = max(map(len, (study / "search.jsonl").read_bytes().splitlines())) + 2
    assert longest < (study / "search.jsonl").stat().st_size
    monkeypatch.setattr(copying, "MOST_TEXT", longest)
    check_copy(place, elsewhere)
    with pytest.raises(InputError, match="behind its copy"):
        check_copy(place, study)
    with (study / "search.jsonl").open("a") as log:
        log.write("{}\n")  # as long, and another one
    with pytest.raises(InputError, match="behind its copy"):
        check_copy(place, study)


def test_links_in_a_copy_are_not_followed(study, place, tmp_path, caplog):
    """Neither to files of its reader's, nor round and round."""
    StudyCopy(study, place).update()
    (tmp_path / "secret").write_text("mine")
    there = Path(place)
    (there / "space.py").unlink()
    (there / "space.py").symlink_to(tmp_path / "secret")
    for name in ("a", "b", "c"):
        (there / "trials" / name).symlink_to("..")
    os.mkfifo(there / "networks/pipe")
    fetched = fetch_study(place, tmp_path / "fetched")
    assert not (fetched / "space.py").exists()
    assert {path.name for path in (fetched / "trials").iterdir()} == {"00000.parquet"}
    assert "5 files of" in caplog.text and "are left out" in caplog.text


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("study/copy", "are in one another"), (".", "are in one another"),
        ("", "is no place"), ("file://{}/study/copy", "are in one another"),
        ("s3:/bucket", "give one like s3://bucket"),
    ],
)  # fmt: skip
def test_a_place_that_cannot_be_is_refused_before_anything_is_done(tmp_path, capsys, where, why):
    inside = where and not where.startswith(("s3", "file"))
    given = str(tmp_path / where) if inside else where.format(tmp_path)
    code, _, err = run(
        capsys, "search", "lipgrow", "--dataset", "digits", "--trials", 1, "--out",
        tmp_path / "study", "--copy-to", given,
    )  # fmt: skip
    assert (code, len(err.splitlines()), why in err) == (2, 1, True), err
    assert list(tmp_path.iterdir()) == []


def test_a_copy_of_another_search_is_not_gone_on_with(tmp_path, place, capsys):
    (tmp_path / "space.py").write_text("param_space = {'epochs': 2}")
    study = create_study(
        tmp_path / "study", command="search", searched=[], search_seed=1, overrides={}, trials=1,
        settings={}, plugins=[], resources_per_trial={},
    )  # fmt: skip
    (study / "space.py").write_text("param_space = {'epochs': 2}")
    StudyCopy(study, place).update()
    shutil.rmtree(study)
    code, _, err = run(
        capsys, "search", tmp_path / "space.py", "--out", study, "--copy-to", place, "--resume"
    )
    assert (code, len(err.splitlines())) == (2, 1)
    assert f"copy {place!r} has another search seed; choose a new --copy-to" in err
    assert not study.exists()


def test_of_two_writers_the_one_that_began_first_stops_and_says_so(
    study, place, monkeypatch, caplog
):
    first, second = StudyCopy(study, place), StudyCopy(study, place)
    first.update()
    mark = copying._MARK
    monkeypatch.setattr(copying, "_MARK", b"of another process")
    second.update()
    assert caplog.text == ""
    there = contents(Path(place))
    monkeypatch.setattr(copying, "_MARK", mark)
    (study / "space.py").write_text("param_space = []")
    (study / "report.html").write_text("a page")
    for _ in range(2):
        first.update()
    first.finish()
    first.add_report()
    assert contents(Path(place)) == there
    assert caplog.text.count("another search has begun to write") == 1
    monkeypatch.setattr(copying, "_MARK", b"of another process")
    second.update()
    assert copy_of(place) == of_the_study(study)


def test_the_report_is_added_to_the_copy(study, place):
    StudyCopy(study, place).update()
    (study / "report.html").write_text("a page")
    copy_report(study, place)
    assert Path(place, "report.html").read_text() == "a page"


@pytest.fixture
def server(monkeypatch):
    """A place that is no folder of this machine: memory://copy."""
    files = fs.PyFileSystem(fs.FSSpecHandler(working_server(monkeypatch)()))
    monkeypatch.setattr(copying, "place_to_write", lambda place, what: files)
    monkeypatch.setattr(copying, "place_to_read", lambda place, what: files)
    return files


@pytest.mark.usefixtures("server")
def test_a_server_that_fails_is_said_once_and_the_copy_is_whole_when_it_is_back(study, caplog):
    copy = StudyCopy(study, "memory://copy")
    copy.update()
    Server.fails = 10**9
    for _ in range(2):
        copy.update()
    assert caplog.text.count("it is tried again until the search's end") == 1
    copy.finish()
    assert f"growsearch resume {study} --copy-to memory://copy brings it up" in caplog.text
    Server.fails = 0
    copy.update()
    assert {name.lstrip("/") for name in Server.store} == {*of_the_study(study), "copied_by"}


@pytest.mark.usefixtures("server")
def test_a_server_that_does_not_answer_at_the_start_is_one_line(study):
    Server.fails = 10**9
    with pytest.raises(InputError, match="'memory://copy' cannot be read"):
        check_copy("memory://copy", study)


def test_a_file_that_cannot_be_read_is_said_once_and_the_others_are_copied(study, place, caplog):
    os.mkfifo(study / "pipe")
    copy = StudyCopy(study, place)
    for _ in range(2):
        copy.update()
    assert caplog.text.count("pipe is not copied (") == 1
    (study / "pipe").unlink()
    assert copy_of(place) == of_the_study(study)


def test_within_the_block_the_copy_is_kept_up_to_date(study, place, monkeypatch):
    monkeypatch.setattr(copying, "SECONDS_BETWEEN", 0.01)
    updated, update = threading.Semaphore(0), StudyCopy.update

    def counted(copy, *given):
        update(copy, *given)
        updated.release()

    monkeypatch.setattr(StudyCopy, "update", counted)
    with copied(study, place):
        (study / "report.html").write_text("a page")
        for _ in range(3):
            assert updated.acquire(timeout=20)
        assert Path(place, "report.html").read_text() == "a page"
        (study / "front.csv").write_text("a table")
    assert Path(place, "front.csv").read_text() == "a table"


def test_the_database_of_a_sampler_is_copied_as_it_is_between_two_changes(study, tmp_path, place):
    with sqlite3.connect(study / "optuna.db") as database:
        database.execute("create table draws (number)")
        database.execute("insert into draws values (1)")
        database.commit()
        database.execute("insert into draws values (2)")  # its change has begun
        StudyCopy(study, place).update()
    assert not (tmp_path / "copy/optuna.db-journal").exists()
    with sqlite3.connect(tmp_path / "copy/optuna.db") as copy:
        assert copy.execute("select number from draws").fetchall() == [(1,)]
    (study / "optuna.db").write_text("no database")
    StudyCopy(study, place).update()
    assert Path(place, "optuna.db").read_text() == "no database"


def test_networks_from_a_node_that_does_not_see_the_study_come_to_it_at_the_end(study, tmp_path):
    place = str(tmp_path / "copy")
    copy = StudyCopy(study, place)
    copy.update()
    away = fs.SubTreeFileSystem(place, fs.LocalFileSystem())
    history = History().plus(record(1, key="1", val_accuracy=50.0))
    for node in ("node", "another node"):  # where the trial goes on, its networks are again
        folder = tmp_path / node / "00001"
        kept = KeptNetworks(folder, {}, None, Mirror(folder, away, "networks/00001"))
        if node == "node":
            kept.trained(history, torch.nn.Linear(1, 1))
        assert set(contents(folder)) == {"1.safetensors"}
    history = history.plus(record(2, key="2", val_accuracy=60.0))
    kept.trained(history, torch.nn.Linear(1, 1))
    copy.finish()
    expected = {"2.safetensors": (folder / "2.safetensors").read_bytes()}
    assert contents(tmp_path / "copy/networks/00001") == expected
    assert contents(study / "networks/00001") == expected


def test_a_trial_on_a_node_without_the_study_keeps_its_networks_at_the_copy(tmp_path):
    elsewhere = tmp_path / "not-on-this-node"
    config = TrialConfig(
        dataset="digits", train_size=100, policy="none", epochs=1, precision="float32",
        compile="off",
    )  # fmt: skip
    options = ActorOptions(networks=str(elsewhere / "networks"), copy=str(tmp_path / "copy"))
    assignment = Assignment(name="00000", trial=config, known=0, first=None, options=options)
    trial = AssignedTrial(assignment.to_dict())
    report = Report.from_dict(trial.step())
    weights = kept_weights(tmp_path / "copy/networks", report.record.key)
    assert weights["architecture"] == report.record.architecture
    assert not elsewhere.exists()
    trial.cleanup()


def test_a_copy_whose_server_is_away_when_a_trial_starts_is_a_warning(
    server, tmp_path, caplog, monkeypatch
):
    def away(mirror):
        raise OSError("connection refused")

    monkeypatch.setattr(Mirror, "bring", away)
    folder = tmp_path / "networks/00000"
    kept = KeptNetworks(folder, {}, None, Mirror(folder, server, "networks/00000"))
    kept.trained(History().plus(record(1, key="1")), torch.nn.Linear(1, 1))
    assert caplog.text.count("a network cannot be kept in") == 1
    assert set(contents(folder)) == {"1.safetensors"}
