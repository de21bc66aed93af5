"""The chaos suite: what it draws, and its first faults."""

import subprocess
import sys

import pytest
from conftest import ROOT


@pytest.fixture
def faults(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import chaos_faults

    return chaos_faults


def test_a_fault_depends_on_the_seed_and_its_number(faults):
    drawn = [faults.Fault.drawn(0, number) for number in range(300)]
    assert drawn[17] == faults.Fault.drawn(0, 17)
    assert drawn != [faults.Fault.drawn(1, number) for number in range(300)]
    assert {fault.point for fault in drawn} == set(faults.POINTS)
    assert {(fault.kind, fault.target) for fault in drawn} == set(faults.FAULTS)


def test_a_fault_is_read_as_it_was_written(faults):
    fault = faults.Fault.drawn(0, 3)
    assert faults.Fault.read(str(fault)) == fault


def test_faults_happen_one_after_the_other(faults, tmp_path):
    drawn = [faults.Fault.drawn(0, number) for number in (4, 9)]
    (tmp_path / "faults").write_text("".join(f"{fault}\n" for fault in drawn))
    assert faults.armed(tmp_path) == drawn[0]
    (tmp_path / "happened-4").touch()
    assert faults.armed(tmp_path) == drawn[1]
    (tmp_path / "happened-9").touch()
    assert faults.armed(tmp_path) is None


@pytest.mark.slow
def test_a_search_that_faults_hit_ends_with_the_rows_of_the_undisturbed_one():
    """The seed draws faults of seven kinds at eight points, three of which end the search."""
    command = [sys.executable, "benchmarks/chaos.py", "--seed", "2677", "--kills", "8"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "8 faults in" in ended.stdout
