"""The comparison of two revisions finds what is planted in a copy of the package."""

import importlib
import math
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

TRIAL = "option: policy=fixed seed=2"
SHARED = "shared: longer trials"


def copy_of_package(folder: Path, plants: dict[str, str] | None = None) -> Path:
    """A copy of growsearch in `folder`; each text in `plants` stands in one place, and changes."""
    shutil.copytree(ROOT / "growsearch", folder / "growsearch")
    for old, new in (plants or {}).items():
        (file,) = [f for f in folder.rglob("*.py") if old in f.read_text()]
        assert file.read_text().count(old) == 1
        file.write_text(file.read_text().replace(old, new))
    return folder


def run(new: Path, *options: str) -> tuple[int, str]:
    """The exit code and what is printed about the package here against the one in `new`."""
    command = [sys.executable, "benchmarks/same_bits", str(ROOT), str(new), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert not done.stderr
    return done.returncode, done.stdout


@pytest.mark.long
def test_unchanged_code_passes_and_its_store_is_read(tmp_path):
    code, printed = run(copy_of_package(tmp_path), "--only", SHARED)
    assert code == 0
    assert "5 trials, 18 epochs" in printed
    assert printed.endswith("records equal, keys equal, store read\n")


@pytest.mark.long
def test_another_momentum_and_another_default_are_found_though_the_keys_are_equal(tmp_path):
    plants = {
        "lr=lr, momentum=self.momentum": "lr=lr, momentum=0.8",
        '        1.4, "grow when': '        2.0, "grow when',
    }
    changed = copy_of_package(tmp_path, plants)
    code, printed = run(changed, "--only", TRIAL, "configs: details")
    assert code == 1
    assert "trials 0 epochs 1 val_loss: " in printed
    assert "trials 0 state network " in printed
    assert "rtol: 1.4 (0x1.6666666666666p+0) != 2.0 (0x1.0000000000000p+1)" in printed
    assert "records differ, keys equal, store not compared" in printed


@pytest.mark.long
def test_a_key_that_misses_the_weight_decay_is_found_and_so_is_the_epoch_that_it_mixes_up(tmp_path):
    changed = copy_of_package(
        tmp_path, {"if taken.weight_decay != config.weight_decay:": "if False:"}
    )
    code, printed = run(changed, "--only", "shared: other optimizer changes")
    assert code == 1
    assert "trials 2 epochs 3 reused: False != True" in printed
    assert "records differ, keys differ, store not read" in printed


@pytest.mark.long
def test_keys_may_differ_where_that_is_allowed(tmp_path):
    changed = copy_of_package(tmp_path, {"NUMERICS = 4": "NUMERICS = 1004"})
    code, printed = run(changed, "--only", TRIAL, "--allow-keys")
    assert code == 0
    assert printed.endswith("records equal, keys not compared, store not compared\n")


@pytest.fixture
def compare(monkeypatch):
    """The module that compares."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks/same_bits")
    yield importlib.import_module("compare")
    for name in ("compare", "plain"):
        sys.modules.pop(name)


def paths(compare, old, new, with_keys=True):
    plain = importlib.import_module("plain").plain
    found = compare.differences("case", plain(old), plain(new), with_keys)
    return [" ".join(difference.path) for difference in found]


def test_numbers_are_compared_by_their_bits_and_kinds(compare):
    same = {"nan": math.nan, "lists": (1.0, [2.0]), "none": None}
    assert not paths(compare, same, {"nan": -math.nan, "lists": [1.0, (2.0,)], "none": None})
    old = {"sign": 0.0, "last bit": 0.1 + 0.2, "kind": 1, "truth": True}
    new = {"sign": -0.0, "last bit": 0.3, "kind": 1.0, "truth": 1}
    assert paths(compare, old, new) == ["sign", "last bit", "kind", "truth"]


def test_a_field_that_only_one_revision_has_is_a_difference(compare):
    assert paths(compare, {"a": 1}, {"a": 1, "b": None}) == ["b"]
    assert paths(compare, {"a": 1, "b": None}, {"a": 1}) == ["b"]


def test_what_only_newer_revisions_have_is_no_difference_where_the_old_one_lacks_it(compare):
    new = {"metrics": {"val_perplexity": 2.0}, "metric/val_perplexity": 2.0, "config/task": "x"}
    assert not paths(compare, {}, new)
    assert not paths(compare, {"state": {}}, {"state": {"data": {"digest": "a"}}})
    assert paths(compare, {"state": {}}, {"state": {"weights": {}}}) == ["state weights"]
    assert paths(compare, new, {}) == list(new)
    assert paths(compare, {"metrics": {}}, {"metrics": {"a": 1.0}}) == ["metrics a"]


def test_a_refusal_is_equal_to_a_refusal_alone(compare):
    refused, trained = {"refused": True}, {"trials": [{"epochs": {"1": {"loss": 1.0}}}]}
    assert not paths(compare, refused, refused)
    assert paths(compare, refused, trained) == ["refused"]


def test_an_error_that_is_no_refusal_is_a_difference_even_on_both_sides(compare):
    assert paths(compare, {"crashed": "KeyError"}, {"crashed": "KeyError"}) == ["crashed"]


def test_without_keys_neither_they_nor_what_stores_hold_are_compared(compare):
    old = {"trials": [{"key": "a", "loss": 1.0, "state": {"root": "c"}}], "store": {"a": 1}}
    new = {"trials": [{"key": "b", "loss": 2.0, "state": {"root": "d"}}], "store": {"b": 1}}
    assert paths(compare, old, new, with_keys=False) == ["trials 0 loss"]
    everything = ["trials 0 key", "trials 0 loss", "trials 0 state root", "store a", "store b"]
    assert paths(compare, old, new) == everything


def test_one_cause_prints_few_lines_and_a_count(compare):
    found = [
        compare.Difference(f"case {i}", ("trials", "0", "epochs", str(e), name), 1, 2)
        for i in range(10) for e in range(10) for name in ("val_loss", "lr")
    ]  # fmt: skip
    lines = list(compare.report(found))
    assert len(lines) == 9
    assert lines[0] == "case 0 | trials 0 epochs 0 val_loss: 1 != 2"
    assert lines[-2:] == ["  val_loss: 100 in 10 cases", "  lr: 100 in 10 cases"]
