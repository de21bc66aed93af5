"""The first run on a GPU, in its smallest form on a processor."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT

GPU = ROOT / "benchmarks/gpu.py"


def run(*command):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, *map(str, command)]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.long
def test_it_runs_on_a_processor_and_nothing_fails(tmp_path):
    file = tmp_path / "rows.jsonl"
    only = ["machine", "graphs", "twice", "streamed", "bare", "eager"]
    out = run(GPU, "--device", "cpu", "--minutes", "2", "--json", file, "--only", *only)
    assert out.returncode == 0, out.stdout + out.stderr
    rows = rows_of(file)
    assert list(dict.fromkeys(row["section"] for row in rows)) == only
    assert {row["status"] for row in rows} == {"ok", "skipped", "note"}
    assert all(row["result"].startswith("equal") for row in rows if "resident" in row["what"])
    (ratio,) = (row["numbers"] for row in rows if row["section"] == "bare")
    assert ratio["ratio"] == pytest.approx(ratio["own"] / ratio["other"])
    assert all(row["what"] in out.stdout for row in rows)


@pytest.mark.slow
def test_a_section_that_does_not_fit_into_the_minutes_is_skipped_and_says_so(tmp_path):
    file = tmp_path / "rows.jsonl"
    out = run(GPU, "--device", "cpu", "--minutes", "0", "--json", file)
    assert out.returncode == 0
    assert {row["status"] for row in rows_of(file)} == {"skipped"}
    assert "takes about 25 s, and 0 s are left" in out.stdout


def test_without_a_gpu_it_says_so_in_one_line():
    out = run(GPU)
    assert out.returncode == 2
    (line,) = out.stdout.splitlines()
    assert line.startswith("torch finds no GPU")


FAULTY = f"""
import logging, os, sys, time
from pathlib import Path
sys.path.insert(0, {str(GPU.parent)!r})
import torch
from gpu import Part, attend

def raises(bench):
    with bench.look("first"):
        raise ValueError("no\\nway")
    bench.tell("second", "goes on")
    raise RuntimeError("all of it")

def dies(bench):
    logging.getLogger("growsearch").warning("beware")
    bench.tell("first", "was told")
    os._exit(3)

def hangs(bench):
    time.sleep(1000)

def works(bench):
    bench.tell("last", "[fine]")

if __name__ == "__main__":
    for section, left in ((raises, 60), (dies, 60), (hangs, 4), (works, 60)):
        part = Part(section, 1, 1)
        attend(part, torch.device("cpu"), Path(sys.argv[1]), time.monotonic() + left)
"""


@pytest.mark.long
def test_a_section_that_raises_dies_or_hangs_does_not_stop_the_rest(tmp_path):
    (tmp_path / "faulty.py").write_text(FAULTY)
    out = run(tmp_path / "faulty.py", tmp_path / "rows.jsonl")
    assert out.returncode == 0, out.stderr
    rows = rows_of(tmp_path / "rows.jsonl")
    ended = rows[6]["result"]
    assert ended.startswith("was ended after ")
    assert [(row["section"], row["what"], row["status"], row["result"]) for row in rows] == [
        ("raises", "first", "failed", "ValueError: no way"),
        ("raises", "second", "ok", "goes on"),
        ("raises", "", "failed", "RuntimeError: all of it"),
        ("dies", "growsearch", "note", "beware"),
        ("dies", "first", "ok", "was told"),
        ("dies", "", "failed", "its process ended with 3; see above"),
        ("hangs", "", "failed", ended),
        ("works", "last", "ok", "[fine]"),
    ]


ABSENT = {"moocore", "optuna", "pandas", "PIL", "plotly", "ray", "sklearn", "torchvision"}
BARE_MACHINE = f"""
import sys
from dataclasses import replace
from importlib.machinery import PathFinder
from pathlib import Path
sys.path.insert(0, {str(GPU.parent)!r})

class Rest(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in {ABSENT!r} else super().find_spec(name, path, target)

sys.meta_path = [Rest if finder is PathFinder else finder for finder in sys.meta_path]
import gpu, torch
from gpu_rows import Bench, Unequal
from gpu_trials import images_of, same_records, trial
from growsearch.trainer import Trainer
bench = Bench("", torch.device("cpu"), Path("/dev/null"))
one, other = images_of(bench, 1), images_of(bench, 1)
assert one.digest == other.digest
records = list(Trainer(trial(bench), dataset=one))
same_records("records", records, records)
for wrong in (records[:2], [*records[:2], replace(records[2], train_loss=0.0)]):
    try:
        same_records("records", wrong, records)
    except Unequal as error:
        print(error)
"""


@pytest.mark.slow
def test_it_needs_little_and_tells_records_apart():
    """The package's other requirements may be absent."""
    out = run("-c", BARE_MACHINE)
    assert out.returncode == 0, out.stderr
    few, other = out.stdout.splitlines()
    assert few == "records: 2 epochs, not 3"
    assert other.startswith("records differ in train_loss of epoch 3: 0.0, ")
