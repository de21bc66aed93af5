"""The ledger of a search: its trials, their epochs, and how they ended.

    search.jsonl            a line for each event in its order: a trial joins, a result comes, a
                            trial pauses or ends
    trials/<name>.parquet   the records of a trial, except those of the last SECONDS_BEHIND: these
                            are in the lines of their results

Both are on disk before a decision uses them. So `growsearch resume` can continue after a kill at
any time.
"""

import fcntl
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from growsearch.searches.messages import Report
from growsearch.stopping.cost import summed_costs, work_of
from growsearch.study.results import read_histories, write_trial
from growsearch.trial.config import TrialConfig, flat
from growsearch.trial.errors import InputError
from growsearch.trial.history import EpochRecord, History, with_tuples
from growsearch.trial.options import Value
from growsearch.trial.status import Status

LOG_FILE = "search.jsonl"
SECONDS_BEHIND = 3
"""A trial's table is written at most this often: writing takes milliseconds, like some epochs."""


@dataclass
class SearchTrial:
    """A trial of the search, and its state."""

    name: str
    config: TrialConfig
    history: History = field(default_factory=History)
    status: Status = Status.WAITING
    reason: str = ""
    """Why it paused or ended before its last epoch."""
    stop: Mapping[str, object] = field(default_factory=dict)
    """The columns of results that name the trial that dominates it, and its bounds."""
    failures: int = 0
    """How often its actor has failed in this run of the search."""
    given: Mapping[str, Value] | None = None
    """What `config` was given, if that is known and `config` has been read from a file."""

    @property
    def asked(self) -> TrialConfig:
        """`config`, which knows what it was given and what follows from that."""
        return self.config if self.given is None else TrialConfig.from_flat(self.given)


class Ledger:
    """The trials of the search whose study is in `folder`, by name, in the order they joined."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / LOG_FILE).touch()
        self.trials: dict[str, SearchTrial] = {}
        self.paid = dict.fromkeys(("epochs", *summed_costs()), 0.0)
        """The number of epochs that this search trained, and the sum of each of their costs."""
        self._written: dict[str, float] = {}
        """When the table of each running trial was last written, or when the trial began."""

    @classmethod
    def read(cls, folder: Path) -> "Ledger":
        """The ledger of a search that was interrupted or has ended."""
        ledger = cls(folder)
        with (folder / LOG_FILE).open("r+b") as file:  # a kill may have cut its last line short
            file.truncate(file.read().rfind(b"\n") + 1)
        for line in ledger._lines():
            if "config" in line:
                config = TrialConfig.from_flat(line["config"])
                trial = SearchTrial(line["trial"], config, given=line.get("given"))
                ledger.trials[trial.name] = trial
            else:
                trial = ledger.trials[line["trial"]]
                trial.status = Status(line.get("status", Status.RUNNING))
                trial.reason = line.get("reason", "")
        for name, history in ledger.read_histories().items():
            trial = ledger.trials[name]
            if history[-1].status is not Status.RUNNING:
                trial.status = history[-1].status
            trial.history = history
            for record in history:
                ledger._count(trial, record)
            ledger.forget(name)
        return ledger

    def results(self) -> Iterator[tuple[str, int]]:
        """For each result in its order: the trial's name, and the number of its epochs by then."""
        for line in self._lines():
            if "epochs" in line:
                yield line["trial"], line["epochs"]

    def read_histories(self) -> dict[str, History]:
        """The records of each trial that has any, read from disk."""
        histories = read_histories(self.folder)
        for line in self._lines():
            known = histories.get(line["trial"], History())
            records = [EpochRecord(**with_tuples(r)) for r in line.get("records", [])]
            new = [record for record in records if record.epoch > len(known)]
            if new:
                histories[line["trial"]] = History((*known, *new))
        return histories

    def _lines(self) -> Iterator[dict[str, Any]]:
        with (self.folder / LOG_FILE).open() as file:
            yield from map(json.loads, file)

    @property
    def next_name(self) -> str:
        return f"{len(self.trials):05d}"

    def add(self, config: TrialConfig) -> SearchTrial:
        """Adds a trial to the search."""
        trial = SearchTrial(self.next_name, config)
        self.trials[trial.name] = trial
        given = {name: flat(value) for name, value in config.given.items()}
        self._log(trial=trial.name, config=config.to_flat(), given=given)
        return trial

    def start(self, name: str) -> SearchTrial:
        """Takes note that the trial begins or continues."""
        trial = self.trials[name]
        trial.status, trial.reason = Status.RUNNING, ""
        self._written[name] = time.monotonic()
        if trial.history:
            trial.history = trial.history.revised(status=Status.RUNNING)
        return trial

    def enter(self, name: str, report: Report) -> SearchTrial:
        """Writes the new epochs of a trial's report, all in one line.

        A report without new epochs is written as well if memory ran out: then the last known epoch
        gets the status FAILED.
        """
        trial = self.trials[name]
        records = [*report.remembered, *([report.record] if report.record else [])]
        new = [record for record in records if record.epoch > len(trial.history)]
        trial.history = History((*trial.history, *new))
        if records and not trial.status.ended:
            trial.status = records[-1].status
            trial.reason = report.reason or ""
        if trial.status is Status.FAILED:
            trial.history = trial.history.revised(status=Status.FAILED)
        if new or trial.status is Status.FAILED:
            for record in new:
                self._count(trial, record)
            line: dict[str, Any] = {"trial": name, "epochs": len(trial.history)}
            behind = time.monotonic() - self._written.setdefault(name, time.monotonic())
            if trial.status.ended or behind >= SECONDS_BEHIND:
                self._write(trial)
            else:
                line["records"] = [vars(record) for record in new]
            self._log(**line)
            if trial.status.ended:
                self._log_status(trial)
        return trial

    def leave(
        self, name: str, status: Status, reason: str, stop: Mapping[str, object] | None = None
    ) -> None:
        """Takes note that the trial pauses, stops or fails with `status`; see write_trial."""
        trial = self.trials[name]
        trial.status, trial.reason, trial.stop = status, reason, stop or {}
        if trial.history and status is not Status.WAITING:
            trial.history = trial.history.revised(status=status)
            self._write(trial)
        self._log_status(trial)

    def await_epoch(self, name: str) -> None:
        """Takes note that the trial waits, without an actor, for an epoch of another search.

        The log gets no line: a resumed search starts the trial like one that was running.
        """
        self.trials[name].status = Status.WAITING

    def audited(self, name: str, stop: Mapping[str, object]) -> None:
        """Takes note that an audited trial has ended which would have been stopped; see `stop`."""
        trial = self.trials[name]
        trial.stop = stop
        self._write(trial)

    def _log_status(self, trial: SearchTrial) -> None:
        self._log(trial=trial.name, status=trial.status, reason=trial.reason)

    def forget(self, name: str) -> None:
        """Drops all records but the last of a trial that has ended, to save memory."""
        trial = self.trials[name]
        if trial.status.ended:
            trial.history = History(trial.history[-1:])
            self._written.pop(name, None)

    def close(self) -> None:
        """Writes the tables of the running trials."""
        for trial in self.with_status(Status.RUNNING):
            if trial.history:
                self._write(trial)

    def with_status(self, *statuses: Status) -> list[SearchTrial]:
        return [trial for trial in self.trials.values() if trial.status in statuses]

    def _count(self, trial: SearchTrial, record: EpochRecord) -> None:
        if record.reused:
            return
        before = trial.history[record.epoch - 2].train_flops if record.epoch > 1 else 0.0
        self.paid["epochs"] += 1
        for name, cost in summed_costs().items():
            self.paid[name] += cost.of_epoch(work_of(record, before), record)

    def _write(self, trial: SearchTrial) -> None:
        write_trial(
            self.folder, trial.name, trial.config, trial.history, trial.reason or None, trial.stop
        )
        self._written[trial.name] = time.monotonic()

    def _log(self, **line: Any) -> None:
        with (self.folder / LOG_FILE).open("a") as file:
            file.write(json.dumps(line) + "\n")


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Locks the study's ledger within the block; InputError if another process holds the lock."""
    with (folder / "search.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"the search of {str(folder)!r} is running in another process; wait for its end, "
                "or end it"
            ) from error
        yield
