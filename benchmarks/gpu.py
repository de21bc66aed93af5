"""The first run on a GPU: whether all holds there that holds on a processor, and how fast it is.

    python benchmarks/gpu.py                      # at most eight minutes
    python benchmarks/gpu.py --json gpu.jsonl     # each row as a line of JSON too
    python benchmarks/gpu.py --only graphs growth # these sections alone
    python benchmarks/gpu.py --device cpu         # the same program in its smallest form

It needs torch, numpy, pyarrow and rich. Where growsearch is not installed, PYTHONPATH must name
this repository. Nothing is read or downloaded: images are made. Each section is a process of its
own: one that fails, hangs or breaks the GPU's context does not stop the rest. A section that does
not fit into the minutes is skipped. What the package warns of becomes a row, too.

A ratio says how many times as fast the first is as the second: the median of pairs that run in
turn, with the least and the largest. Exits with 1 if anything failed, and with 2 without a GPU.
"""

import argparse
import json
import logging
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import gpu_checks
import gpu_memory
import gpu_ratios
import torch
from gpu_rows import FAILED, NOTE, OK, SKIPPED, Bench, Notes, Row, Section
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Part:
    run: Section
    on_gpu: float
    """Seconds that it is expected to take there."""
    on_cpu: float

    @property
    def name(self) -> str:
        return self.run.__name__


PARTS = [
    Part(gpu_checks.machine, 10, 1),
    Part(gpu_checks.graphs, 45, 4),
    Part(gpu_checks.growth, 60, 6),
    Part(gpu_checks.twice, 15, 2),
    Part(gpu_memory.streamed, 15, 2),
    Part(gpu_ratios.bare, 30, 3),
    Part(gpu_ratios.eager, 20, 1),
    Part(gpu_ratios.bfloat16, 20, 3),
    Part(gpu_ratios.determinism, 20, 1),
    Part(gpu_memory.memory, 45, 8),
    Part(gpu_ratios.lipgrow, 40, 3),
    Part(gpu_ratios.at_once, 60, 12),
    Part(gpu_ratios.compiled, 80, 25),
]
PATIENCE = 2.5
"""On a GPU a section that takes so many times as long as expected is ended."""
STYLES = {OK: "green", FAILED: "bold red", SKIPPED: "yellow", NOTE: "dim"}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=8.0, help="for all of it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="add each row to it as JSON")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    names = [part.name for part in PARTS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="SECTION",
                        help=" ".join(names))  # fmt: skip
    given = parser.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        print("torch finds no GPU; --device cpu runs the same program in its smallest form")
        return 2
    until = time.monotonic() + 60 * given.minutes
    with tempfile.TemporaryDirectory() as folder:
        file = given.json or Path(folder, "rows.jsonl")
        start = file.stat().st_size if file.exists() else 0
        try:
            for part in PARTS:
                if part.name in given.only:
                    attend(part, torch.device(given.device), file, until)
        finally:
            rows = read_rows(file, start)
            show(rows)
    return int(any(row.status == FAILED for row in rows))


def attend(part: Part, device: torch.device, file: Path, until: float) -> None:
    """Run a section in a process of its own, if it fits, and see that it ends."""
    expected = part.on_gpu if device.type == "cuda" else part.on_cpu
    left = until - time.monotonic()
    bench = Bench(part.name, device, file)
    if left < expected:
        bench.tell("", f"takes about {expected:.0f} s, and {max(left, 0):.0f} s are left", SKIPPED)
        return
    together = multiprocessing.get_context("forkserver")
    together.set_forkserver_preload(["torch", "gpu_checks", "gpu_memory", "gpu_ratios"])
    started = time.monotonic()
    limit = min(left, PATIENCE * expected) if device.type == "cuda" else left
    process = together.Process(target=run_section, args=(part.run, bench))
    process.start()
    try:
        process.join(limit)
        took = time.monotonic() - started
        if process.exitcode is None:
            bench.tell("", f"was ended after {took:.0f} s", FAILED)
        elif process.exitcode:
            bench.tell("", f"its process ended with {process.exitcode}; see above", FAILED)
    finally:
        process.kill()
        with suppress(ProcessLookupError):  # and what it has started
            os.killpg(process.pid, signal.SIGKILL)
        process.join()
    print(f"{part.name}: {took:.1f} s", file=sys.stderr, flush=True)


def run_section(section: Section, bench: Bench) -> None:
    os.setsid()  # a group that can be ended together
    if not bench.on_gpu:
        torch.set_num_threads(1)
    logging.captureWarnings(True)
    for name in ("growsearch", "py.warnings"):
        logging.getLogger(name).addHandler(Notes(bench))
    with bench.look(""):
        section(bench)


def read_rows(file: Path, start: int) -> list[Row]:
    if not file.exists():
        return []
    with file.open() as lines:
        lines.seek(start)
        return [Row(**json.loads(line)) for line in lines]


def show(rows: list[Row]) -> None:
    table = Table("section", "what", "result", title="growsearch on a GPU, for the first time")
    section = ""
    for row in rows:
        first = "" if row.section == section else row.section
        if first:
            table.add_section()
        label = "" if row.status == OK else f"{row.status}: "
        table.add_row(first, row.what, f"[{STYLES[row.status]}]{label}[/]{escaped(row.result)}")
        section = row.section
    console = Console()
    if not console.is_terminal:  # a file has room
        console = Console(width=180)
    console.print(table)
    counts = Counter(row.status for row in rows)
    console.print(", ".join(f"{counts[status]} {status}" for status in STYLES))


def escaped(text: str) -> str:
    return text.replace("[", "\\[")


if __name__ == "__main__":
    sys.exit(main())
