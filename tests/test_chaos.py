"""What the chaos suite draws; `make chaos` runs it."""

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


def test_faults_happen_one_after_the_other(faults, tmp_path):
    drawn = [faults.Fault.drawn(0, number) for number in (4, 9)]
    (tmp_path / "faults").write_text("0 4\n0 9\n")
    assert faults.armed(tmp_path) == drawn[0]
    (tmp_path / "happened-4").touch()
    assert faults.armed(tmp_path) == drawn[1]
    (tmp_path / "happened-9").touch()
    assert faults.armed(tmp_path) is None


def test_a_fault_happens_at_its_point_and_hit_and_only_once(faults, tmp_path, monkeypatch):
    plan, root = tmp_path / "plan", tmp_path / "root"
    (root / "store").mkdir(parents=True)
    plan.mkdir()
    (plan / "root").write_text(str(root))
    number = next(
        n for n in range(1000)
        if (fault := faults.Fault.drawn(0, n)).target == "store" and fault.kind == "away"
        and fault.hit == 2
    )  # fmt: skip
    (plan / "faults").write_text(f"0 {number}\n")
    monkeypatch.setenv(faults.PLAN, str(plan))
    for point in (*faults.POINTS, faults.Fault.drawn(0, number).point):
        assert (root / "store").is_dir()
        faults.reached(point)
    assert (root / "store").is_file() and (root / "away-store").is_dir()
    faults.reached(faults.Fault.drawn(0, number).point)
    assert (root / "away-store").is_dir()


@pytest.mark.parametrize(
    ("done", "asked", "enough"),
    [(0, 30, False), (1, 30, False), (7, 30, False), (8, 30, True), (2, 3, False), (3, 3, True)],
)
def test_a_run_in_which_few_faults_were_done_in_time_does_not_pass(
    monkeypatch, done, asked, enough
):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import chaos

    said = chaos.shortfall(done, asked)
    assert bool(said) != enough
    assert enough or f"{done} of {asked} faults" in said
