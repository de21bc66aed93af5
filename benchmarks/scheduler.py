"""Measures how fast the Pareto scheduler decides, and its gain with the store and a budget.

    python benchmarks/scheduler.py              # decisions and hooks: two minutes
    python benchmarks/scheduler.py --driver     # also time outside training: five minutes
    python benchmarks/scheduler.py --seeds 5    # also searches: half an hour on two quiet cores
    python benchmarks/scheduler.py --seeds 5 --keep DIR    # the same; it goes on from what DIR has
    python benchmarks/scheduler.py --foreign    # ParetoScheduler in your own Tune code: seconds

Decisions: the time of a decision and the memory of the scheduler, by the number of trials that have
ended. Trials have 20 epochs and made-up curves; both layers are on; trials have one cost, then two.

Hooks: the time that growsearch's hooks add to Tune's time for a result, on the same curves.

Driver: the share of two workers' time that is spent outside epochs, from the difference of two
searches of different length; and this time for each trial of a search of many short trials.

Foreign: the time that ParetoScheduler adds to Tune's time for a result, its file included, by the
number of trials so far. No cluster runs: a made-up trial reports the same curves, with one cost,
then two.

Searches: 60 trials of search_spaces/lipgrow.py on the digits, 20 epochs each, for each seed of
trials and draws. Each seed runs one whole search, and one with the scheduler, a store, and a budget
of a third of the whole search's parameter-epochs. The baseline is the same trials in the order of
their names, without scheduler and store, so that every epoch is paid. Its records are bit-exactly
those of the whole search, which are used for it. The whole search's ranges of cost and accuracy
scale the hypervolume.
"""

import argparse
import contextlib
import io
import os
import pickle
import random
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
from heading import heading
from pyarrow.fs import LocalFileSystem
from rich.progress import track

from growsearch import TrialConfig, read_study, summarize
from growsearch.searches.ledger import Ledger
from growsearch.searches.messages import Report
from growsearch.stopping.hypervolume import Bounds, hypervolume
from growsearch.stopping.judge import ParetoStopping
from growsearch.study.epoch_tree import count_epochs
from growsearch.study.folder import create_study
from growsearch.study.results import write_trial
from growsearch.study.summary import was_paid
from growsearch.tasks.images.loading import load_dataset
from growsearch.trial.history import EpochRecord, History, unknown_record
from growsearch.tuning.budget import Budget
from growsearch.tuning.pareto_over_ledger import ParetoOverLedger
from growsearch.tuning.pareto_scheduler import ParetoScheduler
from growsearch.tuning.start import start_or_resume
from growsearch.tuning.tuner import run_search

EPOCHS, TRIALS = 20, 60
SPACE = Path(__file__).parent.parent / "search_spaces" / "lipgrow.py"


def made_up(draw: random.Random) -> tuple[TrialConfig, History]:
    """A trial with a saturating accuracy curve that grows once, after a random epoch."""
    grows = draw.randrange(1, EPOCHS - 1)
    config = TrialConfig(policy="fixed", growth_epochs=(grows,), epochs=EPOCHS, lr=0.1)
    pace = draw.uniform(0.5, 1.5)
    height, steepness = draw.uniform(60, 100), draw.uniform(0.1, 0.6)
    records: list[EpochRecord] = []
    param_epochs = 0
    for epoch in range(1, EPOCHS + 1):
        parameters = 175_258 if epoch <= grows else 369_498
        param_epochs += parameters
        changes: dict[str, Any] = {
            "epoch": epoch, "param_epochs": param_epochs, "ppe": param_epochs / epoch,
            "macs": parameters, "train_flops": 6.0 * param_epochs, "seconds": pace,
            "parameters": parameters, "key": f"{draw.random()}",
            "val_accuracy": height * (1 - 2.718 ** (-steepness * epoch)) + draw.gauss(0, 1),
            "architecture": "2-2-2" if epoch <= grows else "4-4-4", "grew": epoch == grows,
            "status": "completed" if epoch == EPOCHS else "running", "phase": "training",
        }  # fmt: skip
        records.append(replace(unknown_record(epoch, "training", "2-2-2"), **changes))
    return config, History(records)


def decisions(*costs: str) -> None:
    draw, marks = random.Random(0), (100, 1_000, 10_000)
    judge = ParetoStopping(costs=costs, racing=3)
    print(f"by {' and '.join(costs)}")
    print("trials before  a decision, median  99 %  of a kind: stop  pause  state a trial")
    seconds: list[float] = []
    counts = {"stopped": 0, "paused": 0}
    for number in track(range(max(marks) + 1), transient=True):
        if number in marks:
            median = statistics.median(seconds) * 1e3
            slowest = sorted(seconds)[int(len(seconds) * 0.99)] * 1e3
            state = len(pickle.dumps(judge)) / number
            print(
                f"{number:13,}  {median:15.3f} ms  {slowest:.3f} ms  {counts['stopped']:8,}"
                f"  {counts['paused']:5,}  {state:8.0f} B"
            )
            seconds.clear()
        config, history = made_up(draw)
        name = f"{number:05d}"
        for epoch in range(1, EPOCHS):
            started = time.perf_counter()
            leaves = judge.verdict(name, config, History(history[:epoch]))
            seconds.append(time.perf_counter() - started)
            if leaves is not None:
                counts[leaves[0]] += 1
                break
        else:
            judge.ended(name, config, history)


def hooks(folder: Path) -> None:
    load_dataset("digits")
    draw = random.Random(0)
    ledger = Ledger(create_study(folder / "hooks", command="search"))
    budget = Budget(ledger, ("param_epochs", 1e30))
    scheduler = ParetoOverLedger(ledger, ParetoStopping(racing=3))
    results, started = 0, time.perf_counter()
    for _ in range(500):
        config, history = made_up(draw)
        name = ledger.add(config).name
        ledger.start(name)
        tunes = SimpleNamespace(config={"name": name})
        for record in history:
            result = Report(record=record).to_dict() | {"config": tunes.config}
            results += 1
            budget(name, result)
            if record.epoch == EPOCHS:
                scheduler.on_trial_complete(None, tunes, result)
            elif scheduler.on_trial_result(None, tunes, result) == scheduler.STOP:
                break
        ledger.forget(name)
    took = (time.perf_counter() - started) / results
    started = time.perf_counter()
    for _ in range(20):
        write_trial(folder / "hooks", "one", config, history)
    table = (time.perf_counter() - started) / 20
    print(
        f"\ngrowsearch's hooks take {took * 1e3:.2f} ms a result, with the tables of {results:,} "
        f"results of 500 trials; a table of {EPOCHS} epochs takes {table * 1e3:.1f} ms, and each "
        "running trial's is written every third second at most"
    )


def foreign(folder: Path, *costs: str) -> None:
    storage = SimpleNamespace(
        storage_filesystem=LocalFileSystem(),
        experiment_fs_path=str(folder / "storage"),
        experiment_driver_staging_path=str(folder / "-".join(costs)),
    )
    draw, seconds, stopped = random.Random(0), [], 0
    scheduler = ParetoScheduler(
        metric="val_accuracy", mode="max", cost=costs, max_t=EPOCHS, time_attr="epoch",
        rate_never_falls=costs == ("param_epochs",), best_metric=200.0,
    )  # fmt: skip
    marks = {100, 1_000}
    print(f"\nParetoScheduler by {' and '.join(costs)}")
    print("trials before  a result, mean  median  99 %  stopped")
    for number in range(max(marks) + 1):
        if number in marks:
            print(
                f"{number:13,}  {statistics.mean(seconds) * 1e3:11.3f} ms"
                f"  {statistics.median(seconds) * 1e3:.3f} ms"
                f"  {sorted(seconds)[int(len(seconds) * 0.99)] * 1e3:.3f} ms  {stopped:7,}"
            )
            seconds.clear()
        tunes: Any = SimpleNamespace(
            trial_id=f"{number:05d}", storage=storage, status="PENDING", last_result={}
        )
        scheduler.on_trial_add(None, tunes)
        for record in made_up(draw)[1]:
            result = record.to_dict()
            result["seconds"] *= record.epoch
            started = time.perf_counter()
            decision = scheduler.on_trial_result(None, tunes, result)
            if decision == scheduler.STOP:
                scheduler.on_trial_complete(None, tunes, result)
            seconds.append(time.perf_counter() - started)
            if decision == scheduler.STOP:
                stopped += record.epoch < EPOCHS
                break


def driver(folder: Path) -> None:
    space = folder / "space.py"
    print("\ntrials  epochs  an epoch, median  wall, s  in epochs, worker s  outside")
    taken = {}
    longer = {"architecture": "6-6-6", "train_size": 1000}
    short = {"architecture": "2-2-2", "train_size": 128}
    for trials, epochs, fields in (
        (2, 1, short),
        (2, 20, longer),
        (2, 120, longer),
        (200, 2, short),
    ):
        space.write_text(
            'from ray import tune\n\nparam_space = {"policy": "none", "lr": 0.1, '
            f'"seed": tune.grid_search(list(range({trials})))}}\n'
        )
        out = folder / f"driver-{trials}-{epochs}"
        started = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            run_search(space, out, overrides=fields | {"epochs": epochs}, max_concurrent=2)
        wall = time.perf_counter() - started
        seconds = read_study(out)["seconds"]
        taken[epochs] = wall, seconds.sum()
        print(
            f"{trials:6d}  {epochs:6d}  {seconds.median():14.2f} s  {wall:7.1f}"
            f"  {seconds.sum():19.1f}  {2 * wall - seconds.sum():7.1f}"
        )
    wall, seconds = (taken[120][i] - taken[20][i] for i in (0, 1))
    wall200, seconds200 = taken[2]
    print(
        f"outside epochs: {1 - seconds / (2 * wall):.1%} of two workers' time for 100 epochs more, "
        f"and {wall200 / 200 - seconds200 / 400:.2f} s of the search's for each of 200 trials"
    )


def search(out: Path, **options: Any) -> pd.DataFrame:
    """The study of the search in `out`, which goes on if it was interrupted."""
    with contextlib.redirect_stdout(io.StringIO()):
        end = start_or_resume(SPACE, out, **options)
    if end.unfinished:
        raise SystemExit("interrupted")
    return read_study(out)


def searches(seeds: int, folder: Path) -> None:
    print(
        "\nseed  whole: epochs  distinct  paid M  hypervolume    with: trials whole, stopped,"
        " paused  paid M  hypervolume  plain at as much  plain needs M for it"
    )
    gains, savings = [], []
    for seed in range(seeds):
        fields = {"dataset": "digits", "epochs": EPOCHS, "seed": seed}
        common = {"overrides": fields, "trials": TRIALS, "search_seed": seed}
        whole = search(folder / f"whole{seed}", **common)
        third = whole["parameters"].sum() / 3
        paretos = search(
            folder / f"with{seed}", **common, scheduler="pareto", racing=3.0,
            budget=f"param_epochs={third}",
        )  # fmt: skip
        counts = count_epochs(whole)
        every, trials = summarize(whole), summarize(paretos)
        done = every[every["status"] == "completed"]
        scale = Bounds(
            lowest_cost=done["ppe"].min(), highest_cost=done["ppe"].max(),
            lowest_accuracy=done["val_accuracy"].min(), highest_accuracy=done["val_accuracy"].max(),
        )  # fmt: skip
        paid = float(paretos.loc[was_paid(paretos), "parameters"].sum())
        plain = plainly(every, scale)
        reached = volume(trials, scale)
        at_paid = max((v for cost, v in plain if cost <= paid), default=0.0)
        needed = next((cost for cost, v in plain if v >= reached), float("inf"))
        statuses = trials["status"].value_counts()
        print(
            f"{seed:4d}  {counts.nominal:13,}  {counts.distinct:8,}"
            f"  {whole['parameters'].sum() / 1e6:6.0f}  {plain[-1][1]:11.3f}    "
            f"{statuses.get('completed', 0):18d}  {statuses.get('stopped', 0):7d}"
            f"  {statuses.get('paused', 0):6d}  {paid / 1e6:6.0f}  {reached:11.3f}"
            f"  {at_paid:16.3f}  {needed / 1e6:20.0f}",
            flush=True,
        )
        gains.append(reached - at_paid)
        savings.append(needed / paid)
    if seeds > 1:
        print(
            f"\nhypervolume gained at equal cost: {statistics.mean(gains):.3f} ± "
            f"{statistics.stdev(gains):.3f}; cost saved at equal hypervolume: "
            f"{statistics.mean(savings):.2f} ± {statistics.stdev(savings):.2f} times"
        )


def plainly(trials: pd.DataFrame, scale: Bounds) -> list[tuple[float, float]]:
    """(parameter-epochs, hypervolume) after each trial; trials run in turn and share no epoch."""
    ordered = trials.sort_values("trial_id")
    costs = ordered["param_epochs"].cumsum()
    return [(float(cost), volume(ordered.iloc[: n + 1], scale)) for n, cost in enumerate(costs)]


def volume(trials: pd.DataFrame, scale: Bounds) -> float:
    done = trials[trials["status"] == "completed"]
    return hypervolume(zip(done["ppe"], done["val_accuracy"], strict=True), scale)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--driver", action="store_true")
    parser.add_argument("--foreign", action="store_true")
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the searches here")
    parsed = parser.parse_args()
    print(f"{heading(f'{os.cpu_count()} cores')}, one thread a trial\n")
    with tempfile.TemporaryDirectory() as folder:
        if parsed.foreign:
            foreign(Path(folder), "param_epochs")
            foreign(Path(folder), "param_epochs", "seconds")
            return
        decisions("ppe")
        decisions("ppe", "seconds")
        hooks(Path(folder))
        if parsed.driver:
            driver(Path(folder))
        if parsed.seeds:
            searches(parsed.seeds, parsed.keep or Path(folder))


if __name__ == "__main__":
    main()
