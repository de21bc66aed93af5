"""How long it takes to read and analyse large studies, beside the targets.

    python benchmarks/analysis.py            # a minute and 2 GB of disk; writes 5,000 tables
    python benchmarks/analysis.py --quick    # a tenth of everything, against a tenth of the targets

Front, ranks and hypervolume of a million trials; the summary of 50,000 trials of 40 epochs, in a
process of its own, whose memory is measured and which reads only the columns that a summary needs;
and reading 5,000 trials of 40 epochs whose search has ended. The numbers are processor seconds, and
the machine's load stands in the heading: on a busy machine they are larger. Ratios above 1 miss the
target.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import moocore
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from heading import heading
from rich.console import Console
from rich.table import Table

from growsearch.stopping.hypervolume import Bounds, hypervolume
from growsearch.study.ended import ENDED_FILE, TABLE, stamps
from growsearch.study.folder import create_study
from growsearch.study.gathering import gather_ended
from growsearch.study.pareto import is_pareto_optimal
from growsearch.study.results import read_study, read_table
from growsearch.study.schema import schema
from growsearch.study.summary import SUMMARIZED, summarize

EPOCHS = 40
MEASURED = ("lipschitz", "train_accuracy", "train_seconds", "eval_seconds", "lipschitz_seconds",
            "growth_seconds", "store_seconds")  # fmt: skip
"""Columns of random numbers."""
COSTS = {"param_epochs": 1.0, "ppe": 1.0, "train_flops": 6e9}
TEXTS = {
    "phase": "training", "architecture": "2-2-2", "precision": "float32", "config/task": "images",
    "config/dataset": "digits", "config/policy": "fixed", "config/architecture": "1-1-1",
    "config/initializer": "zero", "config/lr_schedule": "cosine", "config/optimizer": "sgd",
    "config/growth_epochs": "10 20", "config/split": "clean",
}  # fmt: skip
USUAL = {
    "width": 16, "batch_size": 128, "momentum": 0.9, "weight_decay": 1e-4, "warmup": 3,
    "final_lr": 0.01, "train_size": 50_000, "window": 10, "patience": 2, "reserve": 4, "beta1": 0.9,
    "beta2": 0.999, "eps": 1e-8, "heads": 4, "mlp": 4, "patch": 4, "bn_gamma_init": 1.0,
    "device": "cpu", "precision": "float32", "compile": "never", "record_lipschitz": "blocks",
    "network": "resnet", "first_block": "zero", "momentum_on_growth": "carry", "pooling": "mean",
    "baseline": "first-epoch", "placement": "last", "scaling": "none", "lr_per": "network",
    "state_of_copies": "kept", "decay_shape": "cosine", "lipschitz": "norms",
}  # fmt: skip
"""Options with one value in all rows, so that as many columns have values as in the recorded study
that has most, with 84 of 124. The other columns are null."""


def epochs(trials: int, first: int = 0) -> pa.Table:
    """The epochs of so many trials that grow twice, with random losses."""
    random, n = np.random.default_rng(first), trials * EPOCHS
    epoch = np.tile(np.arange(1, EPOCHS + 1), trials)
    trial = np.repeat(np.arange(first, first + trials), EPOCHS)
    grew = (epoch == 10) | (epoch == 20)
    size = 1000 * (1 + (epoch > 10) + (epoch > 20)) + trial % 97
    total = size.reshape(trials, EPOCHS).cumsum(axis=1).ravel()
    loss = 2 / np.sqrt(epoch) + random.normal(0, 0.01, n)
    columns: dict[str, Any] = {name: np.full(n, text) for name, text in TEXTS.items()}
    columns |= {
        "trial_id": np.char.zfill(trial.astype(str), 6),
        "epoch": epoch, "parameters": size, "param_epochs": total, "ppe": total / epoch,
        "train_flops": total * 6e9, "macs": size * 100, "val_loss": loss,
        "val_accuracy": 100 - 20 * loss, "test_accuracy": 100 - 21 * loss, "train_loss": loss,
        "lr": np.full(n, 0.1), "seconds": random.uniform(1, 2, n), "grew": grew,
        "grown_val_loss": np.where(grew, loss + 0.1, np.nan), "reused": epoch < trial % 20,
        "key": np.char.add(np.char.zfill(trial.astype(str), 32), epoch.astype(str)),
        "status": np.where(epoch == EPOCHS, "completed", "running"),
        "config/seed": trial % 5, "config/epochs": np.full(n, EPOCHS),
        "config/lr": random.uniform(0.01, 0.1, trials).repeat(EPOCHS),
    }  # fmt: skip
    columns |= {f"config/{name}": np.full(n, value) for name, value in USUAL.items()}
    for name in MEASURED:
        columns[name] = random.uniform(1, 2, n)
    known = schema()
    return pa.table(
        {
            field.name: pa.array(columns[field.name]).cast(field.type)
            if field.name in columns
            else pa.nulls(n, field.type)
            for field in known
        },
        schema=known,
    )


def seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def of_trials(count: int) -> list[tuple[str, float]]:
    """Front, ranks and hypervolume of so many random trials."""
    random = np.random.default_rng(0)
    cost = random.uniform(1e5, 1e6, count)
    accuracy = 90 + 5 * np.log10(cost / 1e6) + random.normal(0, 1, count)
    trials = pd.DataFrame({"ppe": cost, "val_accuracy": accuracy, "status": "completed"})
    bounds = Bounds(lowest_cost=1e5, highest_cost=1e6, lowest_accuracy=70.0, highest_accuracy=100.0)
    points = trials[["ppe", "val_accuracy"]].to_numpy()
    shown = f"{count:,} trials"
    return [
        (f"front of {shown}", seconds(lambda: is_pareto_optimal(trials))),
        (f"ranks of {shown}", seconds(lambda: moocore.pareto_rank(points * [1, -1]))),
        (f"hypervolume of {shown}", seconds(lambda: hypervolume(points, bounds))),
    ]


def write(count: int, folder: Path) -> tuple[float, ...]:
    """Writes a study of so many ended trials, in one table and, as a search's end does, in
    ENDED_FILE; a search would also have a table for each trial.
    """
    create_study(folder, command="search", searched=["lr"])
    table, ended = folder / "trials" / "all.parquet", folder / ENDED_FILE
    with pq.ParquetWriter(table, schema()) as writer:
        for first in range(0, count, 1000):
            writer.write_table(epochs(min(1000, count - first), first))
    known = json.dumps(stamps([table])).encode()
    kinds = schema().append(pa.field(TABLE, pa.string())).with_metadata({b"tables": known})
    with pq.ParquetWriter(ended, kinds, compression="zstd", write_page_checksum=True) as writer:
        for rows in pq.ParquetFile(table).iter_batches(1000 * EPOCHS):
            name = pa.nulls(len(rows), pa.string()).fill_null(table.name)
            writer.write_batch(pa.record_batch([*rows.columns, name], schema=kinds))
    return ()


def of_summary(count: int, folder: Path) -> tuple[float, float, float]:
    """Processor seconds to read the columns of that study that a summary needs, and to summarize
    it, and the most memory in GB.
    """
    return _summary(count, folder, [*SUMMARIZED, "param_epochs", "ppe", "config/seed", "config/lr"])


def of_all_columns(count: int, folder: Path) -> tuple[float, float, float]:
    """As `of_summary`, of all columns."""
    return _summary(count, folder, None)


def _summary(count: int, folder: Path, columns: list[str] | None) -> tuple[float, float, float]:
    summarize(epochs(10).to_pandas())  # imports
    found: list[pd.DataFrame] = []
    read = seconds(lambda: found.append(read_study(folder, columns)))
    took = seconds(lambda: found.append(summarize(found[0])))
    assert len(found[1]) == count
    return read, took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def of_reading(count: int, folder: Path) -> tuple[float, float, float]:
    """Processor seconds to gather a study of so many trials into one table, the most memory in GB
    until then, and the seconds to read it.
    """
    create_study(folder, command="search", searched=["lr"])
    for first in range(0, count, 100):
        rows = epochs(min(100, count - first), first)
        for n in range(0, len(rows), EPOCHS):
            one = rows.slice(n, EPOCHS)
            pq.write_table(one, folder / "trials" / f"{one['trial_id'][0]}.parquet")
    gathered = seconds(lambda: gather_ended(folder))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    read_table(folder, ["val_loss"])  # imports
    return gathered, memory, seconds(lambda: read_study(folder))


def alone(*arguments: object) -> list[float]:
    """Numbers that this file prints in a process of its own."""
    command = [sys.executable, __file__, *map(str, arguments)]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [float(number) for number in ran.stdout.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--only", nargs="+", help=argparse.SUPPRESS)
    parsed = parser.parse_args()
    if parsed.only:
        what, count, folder = parsed.only
        work = {
            "write": write,
            "summary": of_summary,
            "all": of_all_columns,
            "reading": of_reading,
        }[what]
        print(*work(int(count), Path(folder)))
        return
    share = 0.1 if parsed.quick else 1.0
    million, many, some = (int(n * share) for n in (1_000_000, 50_000, 5_000))
    rows = [(what, took, 1.0 * share, "s") for what, took in of_trials(million)]
    with tempfile.TemporaryDirectory() as place:
        alone("--only", "write", many, Path(place, "many"))
        read, took, memory = alone("--only", "summary", many, Path(place, "many"))
        read_all, took_all, memory_all = alone("--only", "all", many, Path(place, "many"))
        gathered, memory_gathered, small = alone("--only", "reading", some, Path(place, "some"))
    rows.append((f"summary of {many:,} trials x {EPOCHS} epochs", took, 10 * share, "s"))
    rows.append(("  memory, with reading them", memory, 2.0, "GB"))
    rows.append(("  the same of all columns", took_all, 10 * share, "s"))
    rows.append(("  memory, with reading all columns", memory_all, 2.0, "GB"))
    rows.append((f"read {some:,} trials x {EPOCHS} epochs", small, 1.0 * share, "s"))
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    table = Table(title=heading(load), title_justify="left", box=None)
    for name in ("what", "measured", "target", "ratio"):
        table.add_column(name, justify="left" if name == "what" else "right")
    for what, measured, target, unit in rows:
        ratio = f"{measured / target:.2f}"
        table.add_row(what, f"{measured:.2f} {unit}", f"{target:g} {unit}", ratio)
    table.add_row(f"read {many:,} trials x {EPOCHS} epochs", f"{read:.2f} s", "", "")
    table.add_row("  all its columns", f"{read_all:.2f} s", "", "")
    table.add_row(f"gather {some:,} tables into one", f"{gathered:.1f} s", "", "")
    table.add_row("  memory", f"{memory_gathered:.2f} GB", "", "")
    Console().print(table)


if __name__ == "__main__":
    main()
