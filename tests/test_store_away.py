"""A store whose server fails never stops a trial; a search that resumes tries again what failed."""

from dataclasses import replace

import pytest
from conftest import record
from failing_server import Server, working_server
from pyarrow import fs

from growsearch.epochs import store as stores
from growsearch.epochs.store import RECORDS, EpochStore, reached
from growsearch.searches.ledger import Ledger
from growsearch.searches.messages import Report
from growsearch.study.folder import make_folder
from growsearch.trainer import Trainer
from growsearch.trial.config import TrialConfig
from growsearch.trial.status import Status

TRIAL = TrialConfig(
    dataset="digits", train_size=100, epochs=4, lr=0.1, policy="fixed", growth_epochs=(2,)
)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "PAUSES", (0.01, 0.02, 0.04))
    working_server(monkeypatch)
    found = EpochStore(f"file://{tmp_path}/store")
    found.files = fs.PyFileSystem(fs.FSSpecHandler(Server()))
    return found


def test_a_server_that_fails_for_a_moment_is_asked_again(store, caplog):
    store.remember("abc", {"epoch": 1})
    Server.fails = 2
    assert store.record("abc") == {"epoch": 1}
    Server.fails = 2
    store.remember("abd", {"epoch": 2})
    assert store.has(RECORDS, "abd")
    assert caplog.text == ""


def test_a_server_that_is_gone_is_said_once_and_left_alone(store, caplog):
    store.remember("abc", {"epoch": 1})
    Server.fails = 10**9
    assert store.record("abc") is None
    asked = Server.asked
    assert not store.has(RECORDS, "abc")
    store.remember("abd", {"epoch": 2})
    store.state_bytes = 0
    store.trim()
    assert Server.asked == asked
    assert caplog.text.count("training continues without it") == 1
    Server.fails = 0
    store._away_until = 0
    assert store.record("abc") == {"epoch": 1}


def test_a_trial_whose_store_stops_in_the_middle_ends_with_the_same_records(store):
    alone, trainer = list(Trainer(TRIAL)), Trainer(TRIAL, store=store)
    next(trainer)
    Server.fails = 10**9
    rest = list(trainer)
    assert [replace(r, key="") for r in rest] == [replace(r, key="") for r in alone[1:]]
    assert trainer.history[-1].status is Status.COMPLETED


def test_an_actor_that_does_not_reach_the_store_trains_without_it(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    assert reached(str(tmp_path / "file" / "store")) is None
    assert "training continues without it" in caplog.text
    assert reached(str(tmp_path / "store")) is not None


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("its process died", "waiting"),
        ("store 's3://x' cannot be used (no answer)", "waiting"),
        ("OSError: connection refused", "waiting"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/mnt/data'", "waiting"),
        ("ConnectionResetError: [Errno 104] Connection reset by peer", "waiting"),
        ("mymod.Unstable: loss jumped", "failed"),
        ("out of memory at growth to 8-8-8", "failed"),
        ("ValueError: of the trial's own", "failed"),
    ],
)
def test_a_resumed_search_tries_again_what_failed_for_reasons_outside_the_trial(
    tmp_path, reason, status
):
    ledger = Ledger(make_folder(tmp_path / "study"))
    ledger.add_all([TRIAL, TRIAL.replaced(lr=0.2)])
    for name in ledger.trials:
        ledger.start(name)
    ledger.enter("00000", Report(record=record(1)))
    for name in ledger.trials:
        ledger.leave(name, Status.FAILED, reason)
    found = Ledger.read(tmp_path / "study")
    assert [trial.status for trial in found.trials.values()] == [status, status]
    assert len(found.trials["00000"].history) == 1


def test_a_trial_whose_reason_a_kill_has_lost_is_tried_again(tmp_path):
    """Its table says that it failed; the line of the log, which says why, comes after."""
    folder = make_folder(tmp_path / "study")
    ledger = Ledger(folder)
    ledger.add_all([TRIAL])
    ledger.start("00000")
    ledger.enter("00000", Report(record=record(1)))
    before = (folder / "search.jsonl").read_bytes()
    ledger.leave("00000", Status.FAILED, "its process died")
    (folder / "search.jsonl").write_bytes(before)
    found = Ledger.read(folder).trials["00000"]
    assert (found.status, found.history[-1].status) == (Status.WAITING, Status.FAILED)


def test_a_disk_that_fails_counts_as_a_store_without_the_entry(tmp_path, monkeypatch, caplog):
    """NFS may answer that a file handle is stale."""
    found = EpochStore(str(tmp_path / "store"))
    found.remember("abc", {"epoch": 1})

    def stale(kind, key):
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr(found, "_has", stale)
    assert not found.has(RECORDS, "abc")
    assert caplog.text.count("training continues without it") == 1
