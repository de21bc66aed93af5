"""`growsearch doctor` says what is wrong with a machine, and what to do, and leaves nothing."""

import json
import shutil
import subprocess
import sys
from dataclasses import fields

import pytest
from conftest import run

from growsearch.cli import documents
from growsearch.doctor import machine, storage
from growsearch.doctor.run import diagnose, looks


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_a_file_goes_to_a_folder_and_back_and_nothing_stays(tmp_path):
    (tmp_path / "mine").write_text("mine")
    found = storage.round_trip("storage", str(tmp_path))
    assert (found.status, names(tmp_path)) == ("ok", ["mine"])
    for place in (str(tmp_path / "not/yet"), f"file://{tmp_path}/not/yet"):
        assert storage.round_trip("storage", place).status == "ok"
    assert names(tmp_path) == ["mine"]


def test_a_file_in_the_folders_place_is_named(tmp_path):
    (tmp_path / "runs").write_text("mine")
    found = storage.round_trip("storage", str(tmp_path / "runs" / "more"))
    assert found.status == "failed" and str(tmp_path / "runs") in found.said and found.remedy
    assert (tmp_path / "runs").read_text() == "mine"


@pytest.mark.parametrize("place", ["nowhere://bucket/folder", "s3://"])
def test_an_address_of_no_storage_fails_with_a_remedy(place):
    found = storage.round_trip("storage", place)
    assert found.status == "failed" and place in found.said and "credentials" in found.remedy


def test_a_disk_that_is_full_fails_and_one_that_is_nearly_full_is_a_warning(tmp_path, monkeypatch):
    free = shutil.disk_usage(tmp_path).free
    monkeypatch.setattr(storage, "_NO_ROOM", free / 4)
    monkeypatch.setattr(storage, "_LITTLE_ROOM", free / 2)
    assert storage.room("disk", str(tmp_path / "runs")).status == "ok"
    monkeypatch.setattr(storage, "_LITTLE_ROOM", free * 2)
    assert storage.room("disk", str(tmp_path / "runs")).status == "warning"
    monkeypatch.setattr(storage, "_NO_ROOM", free * 2)
    assert storage.room("disk", str(tmp_path / "runs")).status == "failed"


def test_a_clock_that_is_apart_from_the_storages_is_a_warning(tmp_path, monkeypatch):
    now = storage.time.time
    monkeypatch.setattr(storage.time, "time", lambda: now() + 3600)
    found = storage.round_trip("storage", str(tmp_path))
    assert found.status == "warning" and "3,600 s apart" in found.said


def installed(folder, name: str, version: str, *requires: str) -> None:
    """A package as pip leaves it, of which only the metadata are there."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    info.joinpath("METADATA").write_text(
        "\n".join([*lines, *(f"Requires-Dist: {r}" for r in requires)])
    )


@pytest.mark.parametrize(
    ("requires", "status", "said"),
    [
        (["rich", "torch>=2.11"], "ok", "torch"),
        (["rich>=9999"], "failed", "not >=9999"),
        (["nothing-like-it"], "failed", "nothing-like-it is missing"),
        (["nothing-like-it; extra == 'docs'"], "ok", "Python"),
    ],
)
def test_packages_are_compared_with_what_growsearch_requires(
    tmp_path, monkeypatch, requires, status, said
):
    installed(tmp_path, "growsearch", "9.9", *requires)
    monkeypatch.syspath_prepend(tmp_path)
    found = machine.versions()
    assert found.status == status and said in found.said
    assert bool(found.remedy) == (status == "failed")


def test_a_precision_that_is_none_fails_with_what_to_unset(monkeypatch):
    monkeypatch.setenv("GROWSEARCH_PRECISION", "float8")
    found = machine.precision()
    assert found.status == "failed" and "float8" in found.said and "GROWSEARCH" in found.remedy


def test_a_cache_that_cannot_be_written_fails(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert machine.cache().status == "failed"


def test_a_look_that_raises_ends_no_other(tmp_path, monkeypatch):
    def broken() -> None:
        raise RuntimeError("one\ntwo")

    monkeypatch.setattr(machine, "memory", broken)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    found = {row.name: row for row in diagnose(str(tmp_path), None)}
    assert list(found) == ["versions", "device", "precision", "broken", "cache",
                           "disk of out", "storage of out", "Ray"]  # fmt: skip
    assert found["broken"].status == "failed" and "RuntimeError: one two" in found["broken"].said
    assert found["Ray"].status == "failed" and "127.0.0.1:1" in found["Ray"].said
    assert "start the cluster" in found["Ray"].remedy


def test_the_command_prints_what_failed_and_its_exit_code_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "")
    out = tmp_path / "runs"
    out.write_text("mine")
    code, printed, err = run(capsys, "doctor", "--out", out, "--address", "127.0.0.1:1")
    assert (code, err) == (1, "")
    assert "To do: give another folder" in printed and "2 of 8 failed" in printed
    assert all(name in printed for name in looks("runs"))
    code, printed, err = run(capsys, "doctor", "--out", out, "--json")
    document = json.loads(printed)
    assert (code, err, set(document)) == (1, "", {f.name for f in fields(documents.Diagnosed)})
    assert (document["failed"], len(document["found"])) == (2, 8)


@pytest.mark.slow
def test_on_this_machine_nothing_fails(tmp_path, own_ray):
    places = ("--out", tmp_path, "--store", tmp_path / "epochs", "--copy-to", tmp_path / "copies")
    command = [sys.executable, "-m", "growsearch", "doctor", *map(str, places)]
    ended = subprocess.run(command, capture_output=True, text=True, env=own_ray)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert all(name in ended.stdout for name in looks("out", "store", "copy"))
    assert "this machine has 1 node" in ended.stdout and names(tmp_path) == []
