"""The copy of a study: what it has, who writes it, and how a study comes back from it."""

import shutil
import sqlite3
import threading

import pytest
import torch
from conftest import record, run
from failing_server import Server, working_server
from pyarrow import fs

from growsearch import read_study
from growsearch.epochs.kept_networks import KeptNetworks, kept_weights
from growsearch.machine.mirror import Mirror
from growsearch.searches.ledger import Ledger
from growsearch.searches.messages import ActorOptions, Assignment, Report
from growsearch.study import copying
from growsearch.study.copying import StudyCopy, copied, fetch_study
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
        "space.py": "param_space = {}", f"networks/{name}/abc.pt": "weights",
        "plugins/own.py": "pass", "search.lock": "", "tune/state.json": "{}",
        "epochs/records/ab/abc": "record", "trials/00001.parquet.unfinished": "half",
    }.items():  # fmt: skip
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text)
    return folder


def of_the_study(study) -> dict[str, bytes]:
    left_out = ("tune/", "epochs/", "search.lock", "trials/00001.parquet.unfinished")
    return {name: c for name, c in contents(study).items() if not name.startswith(left_out)}


def test_a_copy_has_each_file_of_the_study_but_store_and_state_of_tune(study, tmp_path):
    StudyCopy(study, str(tmp_path / "copy")).update()
    there = contents(tmp_path / "copy")
    assert there.pop("copied_by")
    assert there == of_the_study(study)
    assert {"study.json", "search.jsonl", "trials/00000.parquet", "space.py"} < set(there)


def test_a_copy_follows_what_changes_and_the_networks_that_trials_drop(study, tmp_path):
    copy = StudyCopy(study, str(tmp_path / "copy"))
    copy.update()
    (study / "networks/00000/abc.pt").unlink()
    (study / "networks/00000/abd.pt").write_text("other weights")
    with (study / "search.jsonl").open("a") as log:
        log.write("{}\n")
    before = (tmp_path / "copy/space.py").stat().st_mtime_ns
    for _ in range(2):
        copy.update()
    there = contents(tmp_path / "copy")
    del there["copied_by"]
    assert there == of_the_study(study)
    assert (tmp_path / "copy/space.py").stat().st_mtime_ns == before


def test_a_study_that_is_deleted_while_it_runs_stays_in_its_copy(study, tmp_path):
    """Its files may go one after the other, while the copy is brought up to date."""
    copy = StudyCopy(study, str(tmp_path / "copy"))
    copy.update()
    before = contents(tmp_path / "copy")
    (study / "networks/00000/abd.pt").write_text("other weights")
    for path in ("networks/00000/abc.pt", "networks/00000/abd.pt", "study.json", "search.jsonl"):
        (study / path).unlink()
        copy.update()
    shutil.rmtree(study)
    for _ in range(3):
        copy.update()
    copy.finish()
    kept = {"networks/00000/abd.pt": b"other weights"}
    assert contents(tmp_path / "copy") == before | kept


def test_what_a_kill_has_left_unfinished_in_a_copy_is_removed(study, tmp_path):
    (tmp_path / "copy/networks/00000").mkdir(parents=True)
    (tmp_path / "copy/networks/00000/old.pt.unfinished").write_text("half")
    StudyCopy(study, str(tmp_path / "copy"))
    assert set(contents(tmp_path / "copy")) == {"copied_by"}


def test_other_files_at_the_place_stay(study, tmp_path):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/notes.txt").write_text("mine")
    StudyCopy(study, str(tmp_path / "copy")).finish()
    assert (tmp_path / "copy/notes.txt").read_text() == "mine"
    assert not (study / "notes.txt").exists()


def test_a_copy_becomes_a_study_only_when_all_else_is_there(study, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(Mirror, "_write", lambda self, name, found: written.append(name))
    StudyCopy(study, str(tmp_path / "copy")).update()
    assert written[-2:] == ["search.jsonl", "study.json"]
    assert set(written) == set(of_the_study(study))


def test_a_study_comes_back_from_its_copy(study, tmp_path):
    StudyCopy(study, str(tmp_path / "copy")).update()
    expected, rows = of_the_study(study), read_study(study)
    shutil.rmtree(study)
    assert fetch_study(str(tmp_path / "copy"), study) == study
    assert contents(study) == expected
    assert read_study(study).equals(rows)
    assert [len(trial.history) for trial in Ledger.read(study).trials.values()] == [1, 0]


def test_the_command_fetches_a_study_and_says_why_it_cannot(study, tmp_path, capsys):
    StudyCopy(study, str(tmp_path / "copy")).update()
    code, out, _ = run(capsys, "fetch", tmp_path / "copy", tmp_path / "back")
    assert (code, out) == (0, f"study    {tmp_path / 'back'}, from {tmp_path / 'copy'}\n")
    for place, folder, why in (
        (tmp_path / "copy", tmp_path / "back", "holds another study; nothing was changed"),
        (tmp_path / "nothing", tmp_path / "new", "give the place that --copy-to named"),
        ("s3:/bucket/copy", tmp_path / "new", "give one like s3://bucket/copy"),
    ):
        code, _, err = run(capsys, "fetch", place, folder)
        assert (code, len(err.splitlines())) == (2, 1)
        assert why in err
    assert not (tmp_path / "new").exists() and not (tmp_path / "nothing").exists()


def test_a_place_with_another_study_is_refused_and_not_changed(study, tmp_path):
    StudyCopy(study, str(tmp_path / "copy")).update()
    before = contents(tmp_path / "copy")
    other = create_study(tmp_path / "other", command="search", searched=[])
    with pytest.raises(InputError, match="has the copy of another study"):
        StudyCopy(other, str(tmp_path / "copy"))
    assert contents(tmp_path / "copy") == before


def test_a_copy_in_the_study_itself_is_refused(study, tmp_path, capsys):
    before = contents(study)
    with pytest.raises(InputError, match="choose a place outside of it"):
        StudyCopy(study, str(study / "copy"))
    new = tmp_path / "new"
    code, _, err = run(
        capsys, "search", "lipgrow", "--dataset", "digits", "--trials", 1, "--out", new,
        "--copy-to", new / "copy",
    )  # fmt: skip
    assert (code, "is in the study itself" in err, new.exists()) == (2, True, False)
    assert contents(study) == before


def test_a_name_that_leads_out_of_a_study_is_refused(study, tmp_path):
    StudyCopy(study, str(tmp_path / "copy")).update()
    (tmp_path / "copy/trials/-x").write_text("")
    with pytest.raises(InputError, match="'trials/-x' is no file that growsearch copies"):
        fetch_study(str(tmp_path / "copy"), tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_of_two_writers_the_one_that_began_first_stops_and_says_so(study, tmp_path, caplog):
    first = StudyCopy(study, str(tmp_path / "copy"))
    first.update()
    second = StudyCopy(study, str(tmp_path / "copy"))
    second.update()
    assert caplog.text == ""
    there = contents(tmp_path / "copy")
    (study / "space.py").write_text("param_space = []")
    for _ in range(2):
        first.update()
    assert contents(tmp_path / "copy") == there
    assert caplog.text.count("another search has begun to write") == 1
    second.update()
    assert (tmp_path / "copy/space.py").read_text() == "param_space = []"


@pytest.fixture
def server(monkeypatch):
    files = fs.PyFileSystem(fs.FSSpecHandler(working_server(monkeypatch)()))
    monkeypatch.setattr(copying, "place_to_write", lambda place, what: files)
    return files


@pytest.mark.usefixtures("server")
def test_a_server_that_fails_is_said_once_and_the_copy_is_whole_when_it_is_back(study, caplog):
    copy = StudyCopy(study, "memory://copy")
    Server.fails = 10**9
    copy.update()
    copy.update()
    assert caplog.text.count("it is tried again until the search's end") == 1
    copy.finish()
    assert f"growsearch resume {study} brings it up to date" in caplog.text
    Server.fails = 0
    copy.update()
    assert {name.lstrip("/") for name in Server.store} == {*of_the_study(study), "copied_by"}


@pytest.mark.usefixtures("server")
def test_a_server_that_does_not_answer_at_the_start_is_one_line(study):
    Server.fails = 10**9
    with (
        pytest.raises(InputError, match="'memory://copy' cannot be"),
        copied(study, "memory://copy"),
    ):
        pass


def test_within_the_block_the_copy_is_kept_up_to_date(study, tmp_path, monkeypatch):
    monkeypatch.setattr(copying, "SECONDS_BETWEEN", 0.01)
    updated, update = threading.Semaphore(0), StudyCopy.update

    def counted(copy):
        update(copy)
        updated.release()

    monkeypatch.setattr(StudyCopy, "update", counted)
    with copied(study, str(tmp_path / "copy")):
        (study / "report.html").write_text("a page")
        for _ in range(3):
            assert updated.acquire(timeout=20)
        assert (tmp_path / "copy/report.html").read_text() == "a page"
        (study / "front.csv").write_text("a table")
    assert (tmp_path / "copy/front.csv").read_text() == "a table"


def test_the_database_of_a_sampler_is_copied_as_it_is_between_two_changes(study, tmp_path):
    with sqlite3.connect(study / "optuna.db") as database:
        database.execute("create table draws (number)")
        database.execute("insert into draws values (1)")
        database.commit()
        database.execute("insert into draws values (2)")  # its change has begun
        StudyCopy(study, str(tmp_path / "copy")).update()
    assert not (tmp_path / "copy/optuna.db-journal").exists()
    with sqlite3.connect(tmp_path / "copy/optuna.db") as copy:
        assert copy.execute("select number from draws").fetchall() == [(1,)]


def test_networks_from_a_node_that_does_not_see_the_study_come_to_it_at_the_end(study, tmp_path):
    place, key = str(tmp_path / "copy"), "1"
    copy = StudyCopy(study, place)
    copy.update()
    away = fs.SubTreeFileSystem(place, fs.LocalFileSystem())
    history = History().plus(record(1, key=key, val_accuracy=50.0))
    for node in ("node", "another node"):  # where the trial goes on, its networks are again
        folder = tmp_path / node / "00001"
        kept = KeptNetworks(folder, {}, None, Mirror(folder, away, "networks/00001"))
        if node == "node":
            kept.trained(history, torch.nn.Linear(1, 1))
        assert set(contents(folder)) == {"1.pt"}
    history = history.plus(record(2, key="2", val_accuracy=60.0))
    kept.trained(history, torch.nn.Linear(1, 1))
    copy.finish()
    expected = {"2.pt": (folder / "2.pt").read_bytes()}
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
