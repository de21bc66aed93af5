"""The examples of growsearch in a user's own Tune code, as programs of their own."""

import re
import subprocess
import sys

import pytest
from conftest import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("tune_*.py"))


def test_each_is_short():
    assert EXAMPLES
    assert all(len(path.read_text().splitlines()) < 40 for path in EXAMPLES)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("tune_growing", r"rtol 1\.\d+: 4 epochs, [\d.]+ %, [\d,]+ PPE"),
        ("tune_foreign", r"trial \w+: accuracy 0\.\d+ for [\d,]+"),
    ],
)
def test_it_runs_and_prints_what_it_found(name, line, tmp_path, own_ray):
    home = {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, str(ROOT / f"examples/{name}.py")], env=own_ray | home, cwd=tmp_path,
        capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert re.search(line, ran.stdout), ran.stdout[-2000:]
