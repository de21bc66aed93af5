"""Measures whether memory and descriptors stay flat in a search of many tiny trials.

    python benchmarks/long_run.py --trials 200      # some minutes
    python benchmarks/long_run.py --trials 5000     # half an hour; what the page says

A line for each tenth of the trials: the resident memory and the open descriptors of the driver, the
most of any trial's process, those of Ray's other processes together, and the size of the epoch
store and of what Tune writes. The last line is what the driver grew by for each trial after the
first tenth. Before it, the seconds from the command to the first epoch stand beside those that
Ray's own start takes, and those of the imports, which the driver and then a trial's process need.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from heading import heading

SPACE = """
from ray import tune

param_space = {{"task": "tiny", "policy": "none", "architecture": "1", "epochs": 1, "seed": 0,
               "lr": tune.loguniform(1e-3, 1e-1)}}
"""
TASK = """
from dataclasses import dataclass

import torch
from torch import nn

from growsearch import Task, generator, register


@register("task", "tiny")
@dataclass(frozen=True, kw_only=True)
class Tiny(Task):
    stacks = ("0",)

    def build(self, architecture):
        blocks = nn.Sequential(*(nn.Linear(2, 2) for _ in range(architecture.blocks[0])))
        return nn.Sequential(blocks)

    def batches(self, split, seed, epoch):
        draw = generator(seed, epoch, split)
        points = torch.randn(8, 2, generator=draw)
        yield points, (points.sum(1) > 0).long()
"""
RAY = """
import time
started = time.monotonic()
import ray
ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
print(f"{time.monotonic() - started:.1f}")
"""
IMPORTS = """
import time
started = time.monotonic()
import torch._dynamo
from ray import tune
print(f"{time.monotonic() - started:.1f}")
"""


def alone(code: str) -> str:
    """What a process of its own prints."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    ).stdout.strip()


def children(process: int) -> list[int]:
    """The processes that come from this one, however deep."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, left = [], [process]
    while left:
        left += (new := parents.get(left.pop(), []))
        found += new
    return found


def measured(process: int) -> tuple[float, int]:
    """Resident megabytes and open descriptors; 0 for a process that has ended."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        descriptors = len(os.listdir(f"/proc/{process}/fd"))
    except OSError:
        return 0.0, 0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, descriptors


def is_actor(process: int) -> bool:
    with suppress(OSError):
        command = Path(f"/proc/{process}/cmdline").read_bytes()
        return command.startswith(b"ray::") and b"IDLE" not in command
    return False


def size(folder: Path) -> float:
    """Megabytes of all files in the folder."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.lstat().st_size
    return total / 1e6


def ended(study: Path) -> int:
    """How many trials have ended, of which each has one line with a status."""
    with suppress(OSError):
        return (study / "search.jsonl").read_text().count('"status": "')
    return 0


def has_epoch(study: Path) -> bool:
    """Whether the log has a line of an epoch."""
    with suppress(OSError):
        text = (study / "search.jsonl").read_text()
        return re.search(r'^{"trial": "\w+", "epochs"', text, re.MULTILINE) is not None
    return False


def row(study: Path, driver: int) -> tuple[float, str]:
    """The driver's memory, and the line of the table."""
    others = children(driver)
    actors = [measured(process) for process in others if is_actor(process)]
    rest = sum(measured(process)[0] for process in others if not is_actor(process))
    memory, descriptors = measured(driver)
    most = [max((actor[k] for actor in actors), default=0) for k in (0, 1)]
    return memory, (
        f"{memory:9.0f}  {descriptors:5}  {most[0]:9.0f}  {most[1]:5.0f}  {rest:9.0f}"
        f"  {size(study / 'epochs'):8.1f}  {size(study / 'tune'):8.1f}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", default="", help="as of growsearch search; none: without")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(heading(f"load {os.getloadavg()[0]:.1f} before the start"), flush=True)
        ray, imports = alone(RAY), alone(IMPORTS)
        study = Path(folder, "study")
        Path(folder, "space.py").write_text(SPACE.format())
        Path(folder, "tiny.py").write_text(TASK)
        command = [
            sys.executable, "-m", "growsearch", "search", f"{folder}/space.py", "--out", study,
            "--plugin", f"{folder}/tiny.py", "--trials", given.trials, "--search-seed", given.seed,
            *(["--store", given.store] if given.store else []),
        ]  # fmt: skip
        started, first = time.monotonic(), 0.0
        rows: list[tuple[int, float]] = []
        log = Path(folder, "log")
        with log.open("w") as output:
            search = subprocess.Popen(list(map(str, command)), stdout=output, stderr=output)
        while search.poll() is None:
            if not first and has_epoch(study):
                first = time.monotonic() - started
                print(
                    f"first epoch after {first:.1f} s; alone, Ray starts in {ray} s, and torch and "
                    f"Tune are imported in {imports} s", flush=True,
                )  # fmt: skip
                print("trials   driver MB    fds   trial MB    fds   Ray's MB  store MB  tune/ MB")
            done = ended(study)
            if done * 10 >= given.trials * (len(rows) + 1):
                memory, line = row(study, search.pid)
                rows.append((done, memory))
                print(f"{done:6,}  {line}", flush=True)
            time.sleep(0.05 if not first else 0.5)
        print(f"after the end: tune/ {size(study / 'tune'):.1f} MB")
        seconds = time.monotonic() - started
        if len(rows) > 1:
            (few, before), (many, after) = rows[0], rows[-1]
            print(f"driver grew by {1000 * (after - before) / (many - few):.0f} kB a trial")
        print(f"{ended(study):,} trials in {seconds:.0f} s, exit code {search.returncode}")
        if search.returncode:
            print(log.read_text()[-2000:])
        return search.returncode


if __name__ == "__main__":
    sys.exit(main())
