"""Measures whether a search's driver keeps up with many trials on many workers.

    python benchmarks/scale.py                                  # 300 trials, 50 workers: a minute
    python benchmarks/scale.py --trials 10000 --workers 500     # an hour of one core
    python benchmarks/scale.py --scheduler pareto,racing=3 --no-store

The driver is the real one: queue, ledger with its files, budget, scheduler and what the terminal
shows, called in the order in which Tune's controller calls them, with Tune's own objects for
trials. Its actors are simulated: an epoch takes the seconds that are drawn for it, in simulated
time, and its record is made up. With the store, an epoch that another trial has trained is reused,
and the queue has trials wait for those that train the same epochs.

Times are the processor's, which other programs on the machine change little. A decision is all that
the driver does for one result, or for the question which trial is next. Not
measured are Tune's controller and Ray itself; docs/reliability.md says where their limits are.
"""

import argparse
import contextlib
import io
import random
import resource
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from heapq import heappop, heappush
from pathlib import Path
from time import process_time as clock
from typing import Any

from heading import heading
from ray import tune
from ray.tune.experiment import Experiment
from ray.tune.schedulers import TrialScheduler

from growsearch import TrialConfig
from growsearch.searches.ledger import Ledger
from growsearch.searches.messages import ActorOptions, Report, StoreAccess, trial_name
from growsearch.searches.tree import Way, ways_of
from growsearch.stopping.cost import metric_of
from growsearch.study.folder import LOG_FILE, create_study
from growsearch.trial.history import EpochRecord, History, unknown_record
from growsearch.trial.status import Status
from growsearch.tuning.budget import Budget
from growsearch.tuning.progress import SearchProgress
from growsearch.tuning.replays import contender
from growsearch.tuning.trial_queue import TrialQueue

EPOCHS = 20
IMAGES = 1437


def drawn(trials: int, seed: int) -> list[TrialConfig]:
    """Different trials, of which those with equal seeds and rates share their first epochs."""
    draw, found = random.Random(seed), dict[TrialConfig, None]()
    while len(found) < trials:
        found.setdefault(
            TrialConfig(
                policy="fixed", epochs=EPOCHS, lr=draw.choice((0.05, 0.1, 0.2)),
                growth_epochs=tuple(sorted(draw.sample(range(1, EPOCHS), 2))),
                seed=draw.randrange(max(trials // 100, 1)), precision="float32",
            )
        )  # fmt: skip
    return list(found)


def size(architecture: str) -> tuple[int, int]:
    """Parameters and multiply-accumulates, about those of the family's networks."""
    blocks = sum(map(int, architecture.split("-")))
    return 30_000 * blocks, 2_000_000 * blocks


@lru_cache(maxsize=2_000)
def made_up(way: Way, trial_seed: int) -> History:
    """The records of a trial. Epochs that trials share have the same ones."""
    records: list[EpochRecord] = []
    param_epochs, flops = 0, 0.0
    for k, (node, architecture) in enumerate(zip(way.nodes, way.architectures, strict=True)):
        draw = random.Random(hash((node, trial_seed)))
        parameters, macs = size(architecture)
        param_epochs, flops = param_epochs + parameters, flops + 6.0 * macs * IMAGES
        last = k == len(way.nodes) - 1
        changes: dict[str, Any] = {
            "param_epochs": param_epochs, "ppe": param_epochs / (k + 1), "macs": macs,
            "parameters": parameters, "train_flops": flops, "seconds": draw.uniform(20, 40),
            "lr": 0.1, "precision": "float32", "train_loss": 1.0, "val_loss": 1.0, "key": f"{node}",
            "val_accuracy": 90 - 60 * 2.7 ** (-k / 4) - 2e5 / parameters + draw.gauss(0, 1),
            "grew": not last and way.architectures[k + 1] != architecture,
            "status": Status.COMPLETED if last else Status.RUNNING,
        }  # fmt: skip
        records.append(replace(unknown_record(k + 1, "training", architecture), **changes))
    return History(records)


@dataclass
class Driver:
    """The driver of a search, and simulated actors."""

    ledger: Ledger
    queue: TrialQueue
    budget: Budget
    scheduler: TrialScheduler
    progress: SearchProgress
    ways: dict[str, Way]
    shares: bool
    now: float = 0.0
    ends: list[tuple[float, int, Any, Report]] = field(default_factory=list)
    """Of what actors do: when, a number, whose, and what they then report."""
    trained: set[object] = field(default_factory=set)
    tunes: list[Any] = field(default_factory=list)
    """Tune's trials: its controller keeps all of them."""
    results: list[float] = field(default_factory=list)
    """Seconds that each result took the driver."""
    starts: list[float] = field(default_factory=list)
    """Seconds that each question took which trial is next."""
    paid: int = 0

    def run(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            self.progress.setup()
        self._fill()
        while self.ends:
            self.now, _, trial, report = heappop(self.ends)
            if report.record is not None and not report.record.reused:
                self.paid += 1
                self.trained.add(self._node(trial_name(trial.config), report.record.epoch - 1))
            if self._timed(self.results, self._result, trial, report):
                self._train(trial)
            self._fill()

    def _fill(self) -> None:
        while (trial := self._timed(self.starts, self.queue.next_trial)) is not None:
            trial.set_status(trial.RUNNING)
            self.tunes.append(trial)
            self._train(trial)

    def _train(self, trial: Any) -> None:
        """The actor of the trial goes on: it reads epochs that others trained, and trains one."""
        name = trial_name(trial.config)
        known, whole = len(self.ledger.trials[name].history), self._records(name)
        first = known
        while self.shares and known < len(whole) and self._node(name, known) in self.trained:
            known += 1
        remembered = tuple(replace(record, reused=True) for record in whole[first:known])
        if known == len(whole):
            report, seconds = Report(record=remembered[-1], remembered=remembered[:-1]), 0.1
        else:
            report = Report(record=whole[known], remembered=remembered)
            seconds = whole[known].seconds
        heappush(self.ends, (self.now + seconds, len(self.results) + len(self.ends), trial, report))

    def _records(self, name: str) -> History:
        return made_up(self.ways[name], self.ledger.trials[name].config.seed)

    def _node(self, name: str, epoch: int) -> object:
        return self.ways[name].nodes[epoch]

    def _result(self, trial: Any, report: Report) -> bool:
        """What Tune's controller does with a result; whether the actor goes on."""
        result = {**report.to_dict(), "config": trial.config, "trial_id": trial.trial_id}
        stop = self.budget(trial.trial_id, result)
        if not stop and not result["done"]:
            decision = self.scheduler.on_trial_result(None, trial, result)
            stop = decision == TrialScheduler.STOP
        trial.update_last_result(result)
        if not stop and not result["done"]:
            return True
        self.scheduler.on_trial_complete(None, trial, result)
        self.queue.on_trial_complete(trial.trial_id, result)
        with contextlib.redirect_stdout(io.StringIO()):
            self.progress.on_trial_complete(0, self.tunes, trial)
        trial.set_status(trial.TERMINATED)
        return False

    def _timed(self, seconds: list[float], work: Callable[..., Any], *given: Any) -> Any:
        started = clock()
        found = work(*given)
        seconds.append(clock() - started)
        return found


class Idle(tune.Trainable):
    """What Tune would start."""


def driver(folder: Path, text: str, trials: int, workers: int, seed: int, store: bool) -> Driver:
    """The driver of a search that has not begun, wired as tuner.run_search does it."""
    chosen: Any = contender(text).scheduler
    study = create_study(folder / "study", command="search", searched=["growth_epochs"])
    ledger = Ledger(study)
    ledger.add_all(drawn(trials, seed))
    configs = [trial.config for trial in ledger.trials.values()]
    metric = metric_of("val_accuracy")
    judge = chosen.judge(("ppe",), metric, seed)
    if judge is not None:
        judge.sizes = lambda config: size
    budget = Budget(ledger, None)
    access = StoreAccess(place=str(folder / "epochs"), owner="scale") if store else None
    queue = TrialQueue(
        ledger, max_concurrent=workers, options=ActorOptions(store=access),
        resume=chosen.resume(judge), budget=budget,
    )  # fmt: skip
    tune.register_trainable("idle", Idle)
    experiment = Experiment("tune", "idle", storage_path=str(study))
    queue.add_configurations([experiment])
    ways = dict(zip(ledger.trials, ways_of(configs), strict=True))
    scheduler = chosen.tune_scheduler(queue, metric, judge)
    progress = SearchProgress(ledger, ["growth_epochs"], judge)
    return Driver(ledger, queue, budget, scheduler, progress, ways, shares=store)


def megabytes() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def figures(seconds: list[float]) -> str:
    """Median, 99th percentile and maximum, in milliseconds."""
    ordered = [1000 * second for second in sorted(seconds)]
    picked = (ordered[len(ordered) // 2], ordered[-1 - len(ordered) // 100], ordered[-1])
    return "  ".join(f"{value:8.2f}" for value in picked)


def lines(made: Driver, wall: float, before: float) -> Iterator[str]:
    work = sum(made.results) + sum(made.starts)
    statuses = [trial.status for trial in made.ledger.trials.values()]
    counts = ", ".join(f"{statuses.count(s)} {s}" for s in dict.fromkeys(statuses))
    yield f"trials         {len(statuses):,}: {counts}"
    yield f"results        {len(made.results):,}, of {made.paid:,} epochs trained"
    yield f"simulated      {made.now / 3600:.1f} h, {len(made.results) / made.now:.1f} results/s"
    yield f"driver         {work:.0f} s, {len(made.results) / work:.0f} results/s"
    yield f"in all         {wall:.0f} s, with the simulation"
    yield "decisions, ms    median     99 %      most"
    yield f"  of a result  {figures(made.results)}"
    yield f"  of a start   {figures(made.starts)}"
    yield f"memory         {megabytes():,.0f} MB at most, {before:,.0f} MB before the first trial"
    log = (made.ledger.folder / LOG_FILE).stat().st_size
    yield f"log            {log / 1e6:.1f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--workers", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scheduler", default="pareto,racing=3", help="with options, as in replay")
    parser.add_argument("--no-store", action="store_true", help="no trial shares epochs")
    given = parser.parse_args()
    print(heading("one process"))
    print(f"{given.scheduler}, {given.workers} workers, seed {given.seed}, store: "
          f"{not given.no_store}")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        before, started = megabytes(), clock()
        made = driver(
            Path(folder), given.scheduler, given.trials, given.workers, given.seed,
            not given.no_store,
        )  # fmt: skip
        print(f"made           {clock() - started:.1f} s")
        started = clock()
        made.run()
        print(*lines(made, clock() - started, before), sep="\n")


if __name__ == "__main__":
    main()
