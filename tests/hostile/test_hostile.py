"""A study, store or state of a stranger writes and deletes nothing elsewhere, and runs no code."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from conftest import record, run

from growsearch.epochs.claims import holder
from growsearch.epochs.store import EpochStore, collect, existing
from growsearch.machine.files import check_links
from growsearch.searches.ledger import Ledger, only_writer
from growsearch.searches.messages import Report
from growsearch.searches.spaces import built_in_spaces
from growsearch.searches.trust import acts_of, check_trust
from growsearch.study.folder import create_study, write_info
from growsearch.study.plugins import describe
from growsearch.study.results import write_trial
from growsearch.study.saved_networks import saved_network
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.plugins import Plugin
from growsearch.tuning.study import Study

INFO = {
    "command": "search", "searched": ["lr"], "trials": 1, "search_seed": 0, "overrides": {},
    "settings": {"metric": "val_accuracy"}, "resources_per_trial": {},
}  # fmt: skip
EVIL = ["../../escaped", "/tmp/escaped", "a/b", "..", "", "a\nb", "x" * 300, "a\0b", 7, None]
KEY = "ab" + "0" * 30


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """What other studies of this user have run is not known here."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path):
    """A search whose only trial has completed."""
    folder = create_study(tmp_path / "study", **INFO)
    ledger = Ledger(folder)
    ledger.add_all([TrialConfig(epochs=1)])
    ledger.start("00000")
    ledger.enter("00000", Report(record=record(1, status="completed", key=KEY)))
    return folder


def refused(capsys, *arguments) -> str:
    """The one line with which a command refuses."""
    code, _, err = run(capsys, *arguments)
    assert (code, err.count("\n")) == (2, 1), err
    return err


@pytest.mark.parametrize("name", EVIL)
def test_a_trials_name_cannot_lead_out_of_the_study(folder, capsys, name):
    with (folder / "search.jsonl").open("a") as file:
        file.write(json.dumps({"trial": name, "config": TrialConfig().to_flat()}) + "\n")
    assert "restore the file from a copy" in refused(capsys, "resume", folder)
    with pytest.raises(InputError, match="cannot name a file"):
        write_trial(folder, name, TrialConfig(), [record(1)])


@pytest.mark.parametrize("name", ["../secret", "/etc/x", "*/../../x"])
def test_keys_and_names_of_tables_read_no_file_elsewhere(tmp_path, name):
    with pytest.raises(InputError, match="cannot name a file"):
        saved_network(tmp_path, {}, "00000", 1, name, "2-2-2")
    with pytest.raises(InputError, match="cannot name a file"):
        saved_network(tmp_path, {}, name, 1, KEY, "2-2-2")
    with pytest.raises(InputError, match="cannot name a file"):
        EpochStore(str(tmp_path / "store")).record(name)


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_report_replaces_links_and_pipes_and_does_not_follow_them(folder, capsys, kind):
    elsewhere = folder.parent / "precious"
    elsewhere.write_text("mine")
    names = ["report.html", "front.csv", "front.png"]
    for name in names:
        if kind == "link":
            (folder / name).symlink_to(elsewhere)
            (folder / f"{name}.unfinished").symlink_to(elsewhere)
        else:
            os.mkfifo(folder / name)
    assert run(capsys, "report", folder)[0] == 0
    assert elsewhere.read_text() == "mine"
    for name in names:
        assert (folder / name).is_file()
        assert not (folder / name).is_symlink()


@pytest.mark.parametrize(
    "name", ["search.lock", "search.jsonl", "trials", "networks", "epochs", "tune", "space.py",
             "trials/00000.parquet", "trials/00000.parquet.unfinished", "networks/00000"],
)  # fmt: skip
def test_resume_refuses_links_that_lead_out_of_the_study(folder, capsys, name):
    """The lock and the log hold for callers of the ledger too."""
    elsewhere = folder.parent / "precious"
    elsewhere.write_text("mine")
    path = folder / name
    if path.is_dir():
        shutil.move(path, folder.parent / "moved")
        elsewhere = folder.parent / "moved"
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(elsewhere)
    assert "is a link that leads out of the study" in refused(capsys, "resume", folder)
    if name == "search.lock":
        with pytest.raises(InputError, match="it is a link"), only_writer(folder):
            pass
    if name == "search.jsonl":
        with pytest.raises(InputError, match="it is a link"):
            Ledger.read(folder)
    assert elsewhere.is_dir() or elsewhere.read_text() == "mine"


def test_a_pipe_in_a_study_is_refused_and_a_link_within_it_is_not(folder, capsys):
    (folder / "wandb").mkdir()
    (folder / "wandb" / "latest").symlink_to(folder / "trials")
    check_links(folder)
    os.mkfifo(folder / "networks")
    assert "is neither file nor folder" in refused(capsys, "resume", folder)


@pytest.mark.parametrize("target", ["/dev/zero", "/etc/hostname"])
def test_study_json_is_not_read_through_a_link(folder, capsys, target):
    (folder / "study.json").unlink()
    (folder / "study.json").symlink_to(target)
    for command in ("report", "resume", "best"):
        assert "cannot be read (it is a link)" in refused(capsys, command, folder)


def states(place: Path, count: int = 3) -> EpochStore:
    store = EpochStore(str(place))
    for n in range(count):
        store.keep(f"ba{n:030}", {"a": torch.zeros(1000)})
    return store


def test_a_pipe_in_a_store_is_passed_by(tmp_path):
    """Its reading would not end."""
    store, key = EpochStore(str(tmp_path), "me"), f"ba{0:030}"
    for kind in ("records", "states", "claims"):
        (tmp_path / kind / "ba").mkdir(parents=True)
        os.mkfifo(tmp_path / kind / "ba" / key)
    assert (store.record(key), store.state(key), holder(store, key)) == (None, None, None)


def test_a_server_that_a_study_names_is_not_asked_for_networks(folder):
    """Whoever exports a stranger's network gives no server their credentials."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.setblocking(False)
        place = (
            f"s3://bucket/store?scheme=http&endpoint_override=127.0.0.1:{server.getsockname()[1]}"
        )
        info = {"settings": {"store": place}}
        assert saved_network(folder, info, "00000", 1, f"ba{0:030}", "2-2-2") is None
        with pytest.raises(BlockingIOError):
            server.accept()


def test_who_reads_a_network_removes_nothing_from_the_store_that_a_study_names(
    folder, tmp_path, caplog
):
    """It may be a stranger's study, and the user's store. Who trains removes what is damaged."""
    theirs = states(tmp_path / "store", 2)
    (tmp_path / "store/records").mkdir()
    theirs._write("states", f"ba{2:030}", b"of the right hash, and no state")
    cut, whole, none = sorted((tmp_path / "store/states/ba").iterdir())
    cut.write_bytes(cut.read_bytes()[:-1])
    before = {path: path.read_bytes() for path in (cut, whole, none)}
    info = {"settings": {"store": theirs.place}}
    for path in (cut, none):
        assert saved_network(folder, info, "00000", 1, path.name, "2-2-2") is None
        assert f"{path.name} in store {theirs.place} is " in caplog.text
    assert "made again" not in caplog.text
    assert {path: path.read_bytes() for path in whole.parent.iterdir()} == before
    assert theirs.state(cut.name) is None and theirs.state(none.name) is None
    assert list(whole.parent.iterdir()) == [whole]


def test_a_state_without_an_architecture_or_a_network_is_none_of_the_epoch(folder):
    store = EpochStore(str(folder / "epochs"))
    (folder / "epochs/records").mkdir(exist_ok=True)
    for n, contents in enumerate(
        [
            {"network": {}},
            {"architecture": "2-2-2"},
            {"network": {}, "architecture": "2-2-2", "facts": [1]},
        ]
    ):
        store.keep(f"ba{n:030}", contents)
        assert saved_network(folder, {}, "00000", 1, f"ba{n:030}", "2-2-2") is None


def test_what_is_no_store_is_not_made_one_by_reading_it(tmp_path):
    for place in (str(tmp_path / "new"), f"file://{tmp_path}/new"):
        with pytest.raises(InputError, match="is not an epoch store"):
            existing(place)
    assert not (tmp_path / "new").exists()


def test_a_store_deletes_only_states_and_follows_no_link(tmp_path):
    """Neither a folder that is a link, nor files that are no states, are of the store."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("precious", "bb" + "0" * 30):
        (elsewhere / name).write_text("mine")
    store = states(tmp_path / "store")
    (tmp_path / "store/states/bb").symlink_to(elsewhere)
    (tmp_path / "store/states/ba/notes.txt").write_text("mine")
    (tmp_path / "store/unfinished").rmdir()
    (tmp_path / "store/unfinished").symlink_to(elsewhere)
    for path in elsewhere.iterdir():
        os.utime(path, (0, 0))
    assert collect(store, 0)[0] == 3
    assert sorted(path.name for path in elsewhere.iterdir()) == ["bb" + "0" * 30, "precious"]
    assert (tmp_path / "store/states/ba/notes.txt").read_text() == "mine"
    assert not store.keep("bb" + "1" * 30, {})
    assert store.state("bb" + "0" * 30) is None
    assert len(list(elsewhere.iterdir())) == 2


def test_a_folder_among_records_is_no_record(tmp_path, capsys):
    store = states(tmp_path / "store")
    store.remember(KEY, {"epoch": 1})
    (tmp_path / "store/records/ab" / ("ab" + "1" * 30)).mkdir()
    for action in ("ls", "verify"):
        code, out, _ = run(capsys, "store", action, tmp_path / "store")
        assert code == 0
        assert out.split()[:2] == ["records", "1"]


def test_a_sparse_record_takes_no_memory_and_is_damaged(tmp_path, capsys):
    """It has a tebibyte, of which nothing is on disk; `verify` is run on a smaller one."""
    store = states(tmp_path / "store")
    store.remember(KEY, {"epoch": 1})
    path = tmp_path / "store/records/ab" / KEY
    os.truncate(path, 2**27)
    code, out, _ = run(capsys, "store", "verify", tmp_path / "store")
    assert code == 1
    assert f"damaged  records/ab/{KEY}" in out
    os.truncate(path, 2**40)
    assert store.record(KEY) is None
    assert not path.exists()


@pytest.mark.parametrize("content", [b"[]", b"7", b"\xff", b"[" * 100_000])
def test_a_record_that_is_no_dict_is_made_again(tmp_path, content):
    store = EpochStore(str(tmp_path))
    assert store._write("records", KEY, content)
    assert store.record(KEY) is None
    assert not store.has("records", KEY)


def test_gc_says_what_it_could_not_remove(capsys):
    """Without rights to write: as the user nobody, if the tests run as root."""
    code = (
        "import os, sys, growsearch.study.console; from growsearch.cli import main; "
        "main(['store', 'ls', sys.argv[-1]]); "
        "os.getuid() or os.setuid(65534); "
        "sys.exit(main(['store', 'gc', '--state-megabytes', '0', sys.argv[-1]]))"
    )
    with tempfile.TemporaryDirectory() as folder:
        states(Path(folder)).remember(KEY, {"epoch": 1})
        folders = [Path(folder), *(p for p in Path(folder).rglob("*") if p.is_dir())]
        for path in folders:
            path.chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", code, folder], capture_output=True, text=True, check=False
        )
        for path in folders:
            path.chmod(0o755)
        assert "removed 0 states, 0.0 MB" in done.stdout, done.stderr
        assert done.returncode == 1
        assert "cannot be removed" in done.stderr
        found, out, err = run(capsys, "store", "gc", folder, "--state-megabytes", 0)
    assert (found, err) == (0, "")
    assert "removed 3 states" in out


PLUGIN = "import pathlib; pathlib.Path({!r}).write_text('ran')\n"


def strangers(folder, tmp_path):
    """The study with a plugin, of which the text and the proof that it has run are returned."""
    proof = tmp_path / "proof"
    plugin = Plugin("theirs.py", PLUGIN.format(str(proof)))
    (folder / "plugins").mkdir()
    (folder / "plugins" / plugin.file_name).write_text(plugin.source)
    file = folder / "study.json"
    info = json.loads(file.read_text()) | {"plugins": describe([plugin])}
    file.write_text(json.dumps(info))
    return plugin, proof


def test_a_strangers_plugin_runs_only_with_trust(folder, tmp_path, capsys):
    plugin, proof = strangers(folder, tmp_path)
    err = refused(capsys, "resume", folder)
    assert f"would run plugins/{plugin.file_name}" in err
    assert "--trust" in err
    assert run(capsys, "report", folder)[0] == 0
    assert not proof.exists()


def test_the_space_file_of_a_study_that_is_extended_runs_only_with_trust(folder, tmp_path, capsys):
    proof = tmp_path / "proof"
    (folder / "space.py").write_text(PLUGIN.format(str(proof)) + "param_space = {}\n")
    assert "would run space.py" in refused(capsys, "resume", folder, "--extend", 1)
    assert not proof.exists()
    err = refused(capsys, "resume", folder, "--extend", 1, "--trial", 7)  # no such option
    assert not proof.exists(), err


def test_what_was_trusted_once_needs_no_word_and_the_same_code_changed_does(tmp_path, caplog):
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "space.py").write_text("param_space = {'lr': 1}")
    asked = []

    def answer(question: str) -> bool:
        asked.append(question)
        return len(asked) > 1

    with pytest.raises(InputError, match=r"run space\.py, which this user's searches have not"):
        check_trust(folder, acts_of(folder, {}, {}, draws=True), answer)
    for _ in range(3):
        check_trust(folder, acts_of(folder, {}, {}, draws=True), answer)
    assert len(asked) == 2
    assert "run space.py, as the study says" in caplog.text
    check_trust(folder, acts_of(folder, {}, {}, draws=False))
    (folder / "space.py").write_text("param_space = {'lr': 2}")
    with pytest.raises(InputError, match="--trust"):
        check_trust(folder, acts_of(folder, {}, {}, draws=True))
    (folder / "space.py").write_text(built_in_spaces()["lipgrow"].read_text())
    check_trust(folder, acts_of(folder, {}, {}, draws=True))


def test_a_study_deletes_states_in_a_store_elsewhere_only_with_trust(folder, tmp_path, capsys):
    theirs = states(tmp_path / "store")
    settings = {**INFO["settings"], "store": theirs.place, "state_megabytes": 0}
    (folder / "study.json").unlink()
    write_info(folder, {**INFO, "settings": settings})
    assert f"would keep epochs in the store {theirs.place}, and delete states there" in refused(
        capsys, "resume", folder
    )
    (folder / "study.json").unlink()
    own = {**settings, "store": str(folder / "epochs")}
    assert acts_of(folder, INFO, own, draws=False) == []
    assert len(list(theirs.entries("states"))) == 3


@pytest.mark.parametrize(
    ("says", "given", "asked"),
    [
        ({}, {"store": "mine"}, None),
        ({"state_megabytes": 0}, {"store": "mine"}, ", and delete states there beyond 0 MB"),
        ({"state_megabytes": 0}, {"store": "mine", "state_megabytes": 5}, None),
        ({"state_megabytes": 0}, {"store": "none"}, None),
        ({"store": "mine"}, {}, ""),
        ({"store": "mine"}, {"state_megabytes": 5}, ", and delete states there beyond 5 MB"),
        ({"store": "mine", "state_megabytes": 0}, {"state_megabytes": None}, ""),
        ({"store": "theirs", "state_megabytes": 0}, {"store": "none"}, None),
    ],
)
def test_what_a_study_decides_of_a_store_is_asked_and_what_the_user_decides_is_not(
    folder, tmp_path, monkeypatch, says, given, asked
):
    monkeypatch.chdir(tmp_path)
    acts = [act.text for act in acts_of(folder, INFO, says, False, given)]
    wanted = f"keep epochs in the store {tmp_path / 'mine'}{asked}"
    assert acts == ([] if asked is None else [wanted])


def test_the_limit_of_a_study_deletes_nothing_in_a_store_that_the_user_gives(folder, tmp_path):
    theirs = states(tmp_path / "store")
    (folder / "study.json").unlink()
    write_info(folder, {**INFO, "settings": {**INFO["settings"], "state_megabytes": 0}})
    with pytest.raises(InputError, match="delete states there beyond 0 MB"):
        Study(folder).resume(store=theirs.place)
    assert len(list(theirs.entries("states"))) == 3


def test_settings_of_a_search_do_not_hide_what_the_options_of_a_trial_delete(
    folder, tmp_path, capsys
):
    theirs = states(tmp_path / "store")
    (folder / "study.json").unlink()
    options = {"store": theirs.place, "state_megabytes": 0}
    write_info(
        folder, {**INFO, "command": "train", "options": options, "settings": {"store": None}}
    )
    assert "delete states there beyond 0 MB" in refused(capsys, "resume", folder)


def test_a_study_is_copied_to_where_it_says_only_with_trust(folder, tmp_path, capsys):
    (folder / "study.json").unlink()
    settings = {**INFO["settings"], "copy_to": str(tmp_path / "theirs")}
    write_info(folder, {**INFO, "settings": settings})
    assert f"would copy the study to {tmp_path / 'theirs'}" in refused(capsys, "resume", folder)
    assert not (tmp_path / "theirs").exists()
    acts = acts_of(folder, INFO, settings | {"copy_to": None}, draws=False)
    assert acts == []
