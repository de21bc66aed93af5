"""A search in simulated time: a scheduler decides over recorded epochs, as in a search on Ray.

An epoch takes the seconds that its training took. The scheduler is the one that a search has, and
hears of an epoch when it has ended. Waiting, sharing and pausing are those of the search's queue,
with three differences: trials start in random order, growing and reading a store take no time, and
a trial goes on from any epoch that was trained, as if the store kept every state.
"""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import accumulate
from types import SimpleNamespace
from typing import Any, NamedTuple

from ray.tune.schedulers import TrialScheduler

from growsearch.searches.kinds import Resume, Sampler, Scheduler
from growsearch.searches.messages import Report
from growsearch.searches.recorded import RecordedTrial, Recording
from growsearch.stopping.cost_bounds import Size
from growsearch.stopping.hypervolume import HypervolumeHistory
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import EpochRecord
from growsearch.trial.status import Status
from growsearch.tuning.memory_ledger import MemoryLedger
from growsearch.tuning.oracle import Oracle
from growsearch.tuning.ray_private import controller_without_trials
from growsearch.tuning.recorded_sampler import RecordedSampler

ORACLE = "oracle"
"""In place of a scheduler, one that knows how each trial will end."""


class SimulatedCompletion(NamedTuple):
    """A trial that has completed."""

    trial: str
    """Its name in the recording."""
    seconds: float
    """Simulated."""
    paid: float
    """What the search has paid by then, in the recording's unit, as everywhere."""


@dataclass(kw_only=True)
class Replay:
    """How a search went."""

    recording: Recording
    completions: list[SimulatedCompletion] = field(default_factory=list)
    """In the order of time."""
    stopped: set[str] = field(default_factory=set)
    paid: float = 0.0
    """Until nothing was left to do."""
    seconds: float = 0.0
    decisions: list[float] = field(default_factory=list)
    """Real seconds that the scheduler took for each result."""
    ended: dict[object, int] = field(default_factory=dict)
    """By key, the epochs that were trained, numbered in the order in which they ended."""
    events: list[tuple[int, str, str]] = field(default_factory=list)
    """What trials came to, in order: after how many trained epochs, which trial, its status."""

    @property
    def hypervolumes(self) -> list[float]:
        """After each completion, the hypervolume of the completed trials as a share of the whole
        front's.
        """
        history = HypervolumeHistory(self.recording.bounds)
        outcomes = self.recording.outcomes
        found = [
            history.add(*outcomes[done.trial]) if done.trial in outcomes else None
            for done in self.completions
        ]
        shares = [0.0 if value is None else value / self.recording.hypervolume for value in found]
        return list(accumulate(shares, max))

    def paid_to(self, share: float) -> float | None:
        """What was paid until `share` of the whole front's hypervolume was there; None if it never
        was.
        """
        for done, reached in zip(self.completions, self.hypervolumes, strict=True):
            if reached >= share * (1 - 1e-12):
                return done.paid
        return None

    @property
    def lost(self) -> set[str]:
        """The trials of the whole front that never completed: stopped, or paused for good."""
        return self.recording.front - {done.trial for done in self.completions}


def replay(
    recording: Recording, scheduler: Scheduler | str, *, workers: int = 1, seed: int = 0,
    shared: bool = True, sampler: Sampler | None = None, cheapest_first: bool = False,
) -> Replay:  # fmt: skip
    """A search of `recording` with `scheduler`, or with ORACLE, and `workers` trials at a time.

    `seed` orders the trials and is the search's seed; with `cheapest_first` it only orders those of
    equal cost, as far as costs are known before any trial runs. A `sampler` draws the trials
    instead. With `shared`, each distinct epoch is trained once. Raises InputError for a scheduler
    for which Tune starts trials, or that draws some.
    """
    if isinstance(scheduler, Scheduler) and (scheduler.tune_starts or scheduler.draws):
        raise InputError(
            f"scheduler {scheduler.name!r} cannot be replayed: it starts or draws trials itself; "
            "choose one that stops or pauses the trials that there are"
        )
    return _Simulation(recording, scheduler, workers, seed, shared, sampler, cheapest_first).run()


class _Simulation:
    def __init__(
        self, recording: Recording, scheduler: Scheduler | str, workers: int, seed: int,
        shared: bool, sampler: Sampler | None, cheapest_first: bool,
    ) -> None:  # fmt: skip
        self.shared = shared
        self.ledger = MemoryLedger()
        order = list(recording.trials)
        random.Random(seed).shuffle(order)
        if cheapest_first:
            order.sort(key=lambda trial: recording.planned_costs[trial.name])
        # named by their order: a scheduler that sees names learns nothing from them
        self.recorded = {self.ledger.add(trial.config).name: trial for trial in order}
        self.resume: Resume | None = None
        self.queue: Any = SimpleNamespace(ledger=self.ledger, order=None, parts=None)
        self.scheduler = self._scheduler(scheduler, recording, seed)
        self.trials: dict[str, Any] = {
            name: SimpleNamespace(trial_id=name, config={"name": name}) for name in self.recorded
        }
        self.controller = controller_without_trials()
        self.sampler: RecordedSampler | None = None
        self.waiting = list(self.recorded)
        if sampler is not None:
            configs = {name: trial.config for name, trial in self.recorded.items()}
            self.sampler, self.waiting = RecordedSampler(configs, sampler, seed), []
        self.free = workers
        self.now = 0.0
        self.training: set[object] = set()
        self.ends: list[tuple[float, int, str, tuple[EpochRecord, ...]]] = []
        """Epochs in training: their end, a number, the trial, and the epochs recalled before."""
        self.begun = 0
        self.outcome = Replay(recording=recording)

    def _scheduler(
        self, scheduler: Scheduler | str, recording: Recording, seed: int
    ) -> TrialScheduler:
        if isinstance(scheduler, str):
            known = {name: t.name for name, t in self.recorded.items()}
            ends = recording.outcomes
            return Oracle(self.ledger, {n: ends[mine] for n, mine in known.items() if mine in ends})
        judge = scheduler.judge((recording.cost,), recording.metric, seed)
        if judge is not None:
            judge.sizes = _sizes(recording.trials)
        self.resume = scheduler.resume(judge)
        return scheduler.tune_scheduler(self.queue, recording.metric, judge)

    def run(self) -> Replay:
        self._fill()
        while self.ends:
            self.now, _, name, remembered = heappop(self.ends)
            epoch = len(self.ledger.trials[name].history) + len(remembered)
            self.training.remove(self._key(name, epoch))
            self.outcome.ended[self._key(name, epoch)] = len(self.outcome.ended) + 1
            record = self.recorded[name].history[epoch]
            self.outcome.paid += self.outcome.recording.prices[record.key]
            self._report(name, Report(record=_reused(record, False), remembered=remembered))
            self._fill()
        self.outcome.seconds = self.now
        return self.outcome

    def _fill(self) -> None:
        while self.free and (name := self._next()) is not None:
            self.free -= 1
            self.ledger.start(name)
            self._advance(name)

    def _next(self) -> str | None:
        before = time.perf_counter()
        names, paused = self.waiting, self._paused
        if self.queue.order is not None:
            names = list(self.queue.order([*self.waiting, *paused()]))
            self.outcome.decisions.append(time.perf_counter() - before)
        for name in names:
            if not self._must_wait(name):
                if name in self.waiting:
                    self.waiting.remove(name)
                return name
        if self.sampler is not None and (drawn := self.sampler.draw()) is not None:
            self.outcome.decisions.append(time.perf_counter() - before)
            if not self._must_wait(drawn):
                return drawn
            self.waiting.append(drawn)
            return None
        if self.waiting or self.resume is None or self.queue.order is not None:
            return None
        chosen = self.resume(paused())
        if chosen is not None and self._must_wait(chosen):
            self.waiting.append(chosen)
            return None
        return chosen

    def _paused(self) -> list[str]:
        return [trial.name for trial in self.ledger.with_status(Status.PAUSED)]

    def _key(self, name: str, epoch: int) -> object:
        """What the trial's epoch after `epoch` epochs shares with others."""
        return self.recorded[name].history[epoch].key if self.shared else (name, epoch)

    def _to_train(self, name: str) -> int:
        """How many of the trial's epochs are known, or were trained by others."""
        known, whole = len(self.ledger.trials[name].history), self.recorded[name].history
        while known < len(whole) and self._key(name, known) in self.outcome.ended:
            known += 1
        return known

    def _must_wait(self, name: str) -> bool:
        known = self._to_train(name)
        return known < len(self.recorded[name].history) and self._key(name, known) in self.training

    def _advance(self, name: str) -> None:
        """The trial has a worker, and goes on."""
        known, whole = self._to_train(name), self.recorded[name].history
        before = len(self.ledger.trials[name].history)
        remembered = tuple(_reused(record, True) for record in whole[before:known])
        if known == len(whole):
            self._report(name, Report(record=remembered[-1], remembered=remembered[:-1]))
        elif self._must_wait(name):
            self.ledger.trials[name].status = Status.WAITING
            self.waiting.insert(0, name)
            self.free += 1
        else:
            self.training.add(self._key(name, known))
            self.begun += 1
            heappush(self.ends, (self.now + whole[known].seconds, self.begun, name, remembered))

    def _report(self, name: str, report: Report) -> None:
        entry, result = self.ledger.enter(name, report), report.to_dict()
        trial, before = self.trials[name], time.perf_counter()
        if entry.status.ended:
            self.scheduler.on_trial_complete(self.controller, trial, result)
            decision = TrialScheduler.STOP
        else:
            decision = self.scheduler.on_trial_result(self.controller, trial, result)
        self.outcome.decisions.append(time.perf_counter() - before)
        if decision == TrialScheduler.CONTINUE:
            self._advance(name)
            return
        self.free += 1
        mine = self.recorded[name].name
        if entry.status is Status.RUNNING:
            self.ledger.leave(name, Status.STOPPED, "by Tune's scheduler")
        self.outcome.events.append((len(self.outcome.ended), mine, str(entry.status)))
        if entry.status is Status.STOPPED:
            self.outcome.stopped.add(mine)
        elif entry.status.ran_to_end:
            self.outcome.completions.append(SimulatedCompletion(mine, self.now, self.outcome.paid))
        if self.sampler is not None and entry.status.ended:
            ends = self.outcome.recording.outcomes
            self.sampler.tell(name, entry.status, ends.get(mine))


def _reused(record: EpochRecord, reused: bool) -> EpochRecord:
    return record if record.reused == reused else replace(record, reused=reused)


def _sizes(trials: Sequence[RecordedTrial]) -> Any:
    by_config: Mapping[TrialConfig, Size] = {trial.config: trial.size for trial in trials}
    return by_config.__getitem__
