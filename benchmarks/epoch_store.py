"""Measures the savings and the costs of the epoch store.

    python benchmarks/epoch_store.py                 # about half an hour on two cores
    python benchmarks/epoch_store.py --epochs 12     # the same with shorter trials
    python benchmarks/epoch_store.py --entries 1000000    # lists and verifies this many instead

Two searches run on the digits: a grid of 28 pairs of growth epochs, and a sweep of 16 values of
rtol. Each runs without a store and with a new one, with 1 and with 2 trials at a time. The table
compares trained with distinct epochs, and wall time with the ideal: the time without a store over
the merge rate (nominal over paid parameter-epochs). A second part measures the time to publish and
to recall an epoch of 5,000 Fashion-MNIST images.
"""

import argparse
import contextlib
import io
import os
import tempfile
import time
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any

import torch
from heading import heading

from growsearch import Trainer, TrialConfig, read_study
from growsearch.epochs.store import RECORDS, EpochStore
from growsearch.study.epoch_tree import count_epochs
from growsearch.tuning.tuner import run_search

SPACES = {
    "28 pairs of growth epochs": "'policy': 'fixed', 'growth_epochs': tune.grid_search({pairs})",
    "16 values of rtol": "'policy': 'lipschitz', 'rtol': tune.grid_search({rtols}), 'window': 3",
}


def searches(epochs: int, folder: Path) -> None:
    step = max(epochs // 10, 1)
    pairs = [list(pair) for pair in combinations(range(step, 9 * step, step), 2)]
    rtols = [round(1 + k / 32, 5) for k in range(16)]
    print(f"{epochs} epochs a trial, 2-2-2 to 8-8-8, digits")
    print(
        "search                      at a time  store    epochs  distinct   paid  seconds"
        "  of alone/merge rate"
    )
    for number, (title, space) in enumerate(SPACES.items()):
        path = folder / f"space{number}.py"
        searched = space.format(pairs=pairs, rtols=rtols)
        fixed = f"'architecture': '2-2-2', 'epochs': {epochs}, 'lr': 0.1"
        path.write_text(f"from ray import tune\nparam_space = {{{searched}, {fixed}}}\n")
        for concurrent in (1, 2):
            alone = 0.0
            for stored in (False, True):
                name = f"{number}-{concurrent}-{stored}"
                store = str(folder / f"store-{name}") if stored else "none"
                started = time.perf_counter()
                with contextlib.redirect_stdout(io.StringIO()):
                    run_search(path, folder / name, max_concurrent=concurrent, store=store)
                seconds = time.perf_counter() - started
                counts = count_epochs(read_study(folder / name))
                alone = alone if stored else seconds
                expected = alone / counts.merge_rate
                print(
                    f"{title:<26}  {concurrent:9d}  {'new' if stored else 'none':<5}"
                    f"  {counts.nominal:8,}  {counts.distinct:8,}  {counts.paid:5,}  {seconds:7.1f}"
                    f"  {seconds / expected:19.2f}",
                    flush=True,
                )


class TimedStore(EpochStore):
    """Records the seconds that publishing each state took."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.kept: list[float] = []

    def keep(self, key: str, contents: dict[str, Any]) -> bool:
        started = time.perf_counter()
        kept = super().keep(key, contents)
        self.kept.append(time.perf_counter() - started)
        return kept


def one_trial(folder: Path) -> None:
    config = TrialConfig(
        dataset="fashion-mnist", train_size=5000, policy="fixed", growth_epochs=2, epochs=4, lr=0.1
    )
    store = TimedStore(str(folder / "one"))
    records = list(Trainer(config, store=store))
    share = median(k / r.seconds for k, r in zip(store.kept, records, strict=True))
    trainer = Trainer(config, store=store)
    started = time.perf_counter()
    replayed = len(list(trainer))
    recall = (time.perf_counter() - started) / replayed
    print(
        f"\npublishing a state: {1000 * median(store.kept):.1f} ms, {share:.2%} of the epoch that "
        "made it"
    )
    print(f"hashing, looking up and replaying an epoch: {1000 * recall:.2f} ms")


def many_entries(entries: int, folder: Path) -> None:
    store = EpochStore(str(folder / "many"))
    config = TrialConfig(policy="none", epochs=1, train_size=200)
    one = EpochStore(str(folder / "source"))
    trainer = Trainer(config, store=one)
    list(trainer)
    record = one.record(trainer.branch.keys[0])
    assert record is not None
    for _ in range(entries):
        store.remember(os.urandom(16).hex(), record)
    started = time.perf_counter()
    listed = sum(1 for _ in store.entries(RECORDS))
    damaged = store.damaged(RECORDS)
    seconds = time.perf_counter() - started
    print(f"{listed:,} records listed and verified in {seconds:.1f} s, {len(damaged)} damaged")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--entries", type=int, default=0)
    parsed = parser.parse_args()
    print(f"{heading(f'{os.cpu_count()} cores')}, one thread a trial\n")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        if parsed.entries:
            many_entries(parsed.entries, Path(folder))
        else:
            searches(parsed.epochs, Path(folder))
            one_trial(Path(folder))


if __name__ == "__main__":
    main()
