"""The ledger of a search: its trials, their epochs, and how they ended.

    search.jsonl            a line for each event in its order, with its number: a trial joins, a
                            result comes, a trial pauses or ends
    trials/<name>.parquet   the records of a trial, except those of the last SECONDS_BEHIND: these
                            are in the lines of their results

Both are on disk before a decision uses them. So `growsearch resume` can continue after a kill at
any time.
"""

import builtins
import errno
import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from growsearch.machine.files import (
    check_file_name,
    of_disk,
    opened,
    replacing,
    storage_error,
    write_whole,
)
from growsearch.searches.messages import Report
from growsearch.stopping.cost import cost_of_epoch, summed_costs, work_of
from growsearch.study.folder import LOCK_FILE, LOG_FILE, empty, is_half_made, trial_file
from growsearch.study.results import read_histories, write_trial
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError, because, one_line
from growsearch.trial.history import EpochRecord, History, check_values
from growsearch.trial.options import Value
from growsearch.trial.status import Status
from growsearch.trial.trial_options import flat

_BLOCK = 2**16
_NUMBER = "n"
"""Key of a line's number in the log, from 1. Lines of older versions have none."""
DIED = "its process died"
_OUTSIDE = re.compile(rf"{DIED}|store '|[\w.]*(TimeoutError|RayError)\b")
"""Reasons of failed trials that lie outside of them: a resumed search tries these again. So are the
errors of the operating system."""
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
        if not (folder / LOG_FILE).exists():
            write_whole(folder / LOG_FILE, "")
        self.trials: dict[str, SearchTrial] = {}
        self.paid = dict.fromkeys(("epochs", *summed_costs()), 0.0)
        """The number of epochs that this search trained, and the sum of each of their costs."""
        self._written: dict[str, float] = {}
        """When the table of each running trial was last written, or when the trial began."""
        self._counted = 0, 0
        """Bytes and lines of the log, as they were when this was set."""

    @classmethod
    def read(cls, folder: Path) -> "Ledger":
        """The ledger of a search that was interrupted or has ended.

        A trial whose table is gone goes on from the epoch store. One that failed because its
        process died, or because of a disk or server, waits again. Raises InputError for a log or a
        table that is damaged.
        """
        _drop_cut_line(folder / LOG_FILE)
        ledger = cls(folder)
        epochs: dict[str, int] = {}
        for number, line in enumerate(ledger._lines(), start=1):
            try:
                ledger._take(line)
                epochs[line["trial"]] = line.get("epochs", epochs.get(line["trial"], 0))
            except (KeyError, TypeError, ValueError) as error:
                raise ledger._damaged(number, error) from error
        for name, history in ledger.read_histories().items():
            trial = ledger.trials.get(name)
            if trial is None:
                raise InputError(
                    f"{str(trial_file(folder, name))!r} is of no trial in {LOG_FILE}; remove it, "
                    f"or restore {LOG_FILE} from a copy"
                )
            logged, last = trial.status, history[-1].status
            if last is Status.FAILED and logged is not Status.FAILED:
                trial.status = Status.WAITING  # killed before the log had the reason: tried again
            elif last is not Status.RUNNING:
                trial.status = last
            trial.history = history
            for record in history:
                ledger._count(trial, record)
        for name, trial in ledger.trials.items():
            paused = trial.status is Status.PAUSED
            behind = len(trial.history) < epochs[name]
            if (trial.status.ended and behind) or (paused and (behind or not trial.history)):
                trial.status, trial.reason = Status.WAITING, ""
            if trial.status is Status.FAILED and _is_outside(trial.reason):
                trial.status, trial.reason = Status.WAITING, ""
            if trial.history:
                ledger.forget(name)
        return ledger

    def _take(self, line: dict[str, Any]) -> None:
        """Takes note of a line of the log."""
        if "config" in line:
            name = check_file_name(line["trial"], "trial")
            config, given = TrialConfig.from_flat(line["config"]), line.get("given")
            if not isinstance(given, dict | None):
                raise TypeError("its given options are no dict")
            self.trials[name] = SearchTrial(name, config, given=given)
        else:
            trial = self.trials[line["trial"]]
            trial.status = Status(line.get("status", Status.RUNNING))
            trial.reason = str(line.get("reason", ""))

    def _damaged(self, number: int, error: Exception) -> InputError:
        if isinstance(error, InputError):
            said = str(error)
        elif isinstance(error, KeyError):
            said = f"it has no {str(error)[:100]}, or no line before it has that trial"
        else:
            said = one_line(error)[:200]
        return InputError(
            f"line {number} of {str(self.folder / LOG_FILE)!r} is damaged ({said}); restore the "
            "file from a copy"
        )

    def results(self, histories: Mapping[str, History] | None = None) -> Iterator[tuple[str, int]]:
        """For each result in its order: the trial's name, and the number of its epochs by then.

        With `histories`, only results whose records these have: a table may have been removed, or
        restored from an older copy. Epochs that were entered again after that come once.
        """
        before: dict[str, int] = {}
        for line in self._lines():
            name, epochs = line["trial"], line.get("epochs", 0)
            known = epochs if histories is None else len(histories.get(name, ()))
            if "epochs" in line and before.get(name, 0) < epochs <= known:
                before[name] = epochs
                yield name, epochs

    def statuses(self) -> dict[str, Status]:
        """By trial, the last status that the log has; no table is read."""
        found: dict[str, Status] = {}
        for line in self._lines():
            begun = Status.WAITING if "config" in line else Status.RUNNING
            found[line["trial"]] = Status(line.get("status", begun))
        return found

    def read_histories(self) -> dict[str, History]:
        """The records of each trial that has any, read from disk."""
        histories = read_histories(self.folder)
        for line in self._lines():
            known = histories.get(line["trial"], History())
            try:
                records = [EpochRecord(**check_values(r)) for r in line.get("records", [])]
            except (AttributeError, TypeError, ValueError) as error:
                raise InputError(
                    f"{str(self.folder / LOG_FILE)!r} has a damaged record of trial "
                    f"{line['trial']} ({one_line(error)[:200]}); restore it from a copy, or read "
                    "it with the growsearch that wrote it"
                ) from error
            new = [record for record in records if record.epoch > len(known)]
            if new and new[0].epoch == len(known) + 1:  # others lack a table that is gone
                histories[line["trial"]] = History((*known, *new))
        return histories

    def _lines(self) -> Iterator[dict[str, Any]]:
        with _opened_log(self.folder / LOG_FILE) as file:
            for number, text in enumerate(file, start=1):
                if not text.endswith(b"\n"):  # a running search writes it
                    return
                try:
                    line = json.loads(text.decode().strip())
                except (ValueError, RecursionError) as error:
                    raise self._damaged(number, error) from error
                if not isinstance(line, dict) or not isinstance(line.get("trial"), str):
                    raise self._damaged(number, ValueError("it names no trial"))
                if (own := line.get(_NUMBER, number)) != number:
                    said = f"it was line {own!r:.20}, so others are gone or were added"
                    raise self._damaged(number, ValueError(said))
                if type(line.get("epochs", 0)) is not int:
                    raise self._damaged(number, ValueError("its epochs are no number"))
                if not isinstance(line.get("records", []), list):
                    raise self._damaged(number, ValueError("its records are no list"))
                yield line

    @property
    def next_name(self) -> str:
        return f"{len(self.trials):05d}"

    def add(self, config: TrialConfig) -> SearchTrial:
        """Adds a trial to the search."""
        trial, line = self._joined(config)
        self._log(**line)
        return trial

    def add_all(self, configs: Iterable[TrialConfig]) -> None:
        """Adds trials to the search: after a kill, all of them or none are in the log."""
        joined = [self._joined(config)[1] for config in configs]
        lines = [_text(line, number) for number, line in enumerate(joined, self._next_number())]
        with replacing(self.folder / LOG_FILE) as unfinished:
            shutil.copyfile(self.folder / LOG_FILE, unfinished)
            with unfinished.open("a") as file:
                file.writelines(lines)
                file.flush()
                os.fsync(file.fileno())
        self._count_lines(lines)

    def _joined(self, config: TrialConfig) -> tuple[SearchTrial, dict[str, Any]]:
        """The trial, which has joined, and its line of the log."""
        trial = SearchTrial(self.next_name, config)
        self.trials[trial.name] = trial
        given = {name: flat(value) for name, value in config.given.items()}
        return trial, {"trial": trial.name, "config": config.to_flat(), "given": given}

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
        """Writes the tables of the trials that have begun, also of those that wait again."""
        for trial in self.with_status(Status.RUNNING, Status.WAITING):
            if trial.history and trial.name in self._written:
                self._write(trial)

    def with_status(self, *statuses: Status) -> list[SearchTrial]:
        return [trial for trial in self.trials.values() if trial.status in statuses]

    def _count(self, trial: SearchTrial, record: EpochRecord) -> None:
        if record.reused:
            return
        before = trial.history[record.epoch - 2].train_flops if record.epoch > 1 else 0.0
        self.paid["epochs"] += 1
        for name, cost in summed_costs().items():
            self.paid[name] += cost_of_epoch(cost, work_of(record, before), record)

    def _write(self, trial: SearchTrial) -> None:
        write_trial(
            self.folder, trial.name, trial.config, trial.history, trial.reason or None, trial.stop
        )
        self._written[trial.name] = time.monotonic()

    def _next_number(self) -> int:
        """The number of the log's next line."""
        size = (self.folder / LOG_FILE).stat().st_size
        if size != self._counted[0]:  # or a signal has come between a write and its count
            with opened(self.folder / LOG_FILE) as file:
                self._counted = size, sum(1 for _ in file)
        return self._counted[1] + 1

    def _count_lines(self, added: list[str]) -> None:
        size, number = self._counted
        self._counted = size + sum(map(len, added)), number + len(added)

    def _log(self, **line: Any) -> None:
        text = _text(line, self._next_number())
        # not made anew where someone has removed it: without its first lines it says nothing
        log = os.open(self.folder / LOG_FILE, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        with os.fdopen(log, "a") as file:
            file.write(text)
        self._count_lines([text])


def _text(line: Mapping[str, Any], number: int) -> str:
    """The line as it is in the log, in ASCII."""
    return json.dumps({**line, _NUMBER: number}) + "\n"


def _drop_cut_line(log: Path) -> None:
    """Removes the end of a line that a kill has cut short. InputError if there is no such log."""
    with _opened_log(log, "r+b") as file:
        end = start = file.seek(0, os.SEEK_END)
        tail = b""
        while start and b"\n" not in tail:
            start = max(start - _BLOCK, 0)
            file.seek(start)
            tail = file.read(_BLOCK)
        if (whole := start + tail.rfind(b"\n") + 1) < end:
            file.truncate(whole)


def _is_outside(reason: str) -> bool:
    """Whether a trial failed for a reason that lies outside of it."""
    raised = getattr(builtins, reason.partition(":")[0], None)
    of_system = isinstance(raised, type) and issubclass(raised, OSError)
    return of_system or _OUTSIDE.match(reason) is not None


def _opened_log(log: Path, mode: str = "rb") -> IO[bytes]:
    try:
        return opened(log, mode)
    except OSError as error:
        raise InputError(
            f"{str(log)!r} cannot be read ({because(error)}); it lists the trials of the search: "
            "restore it from a copy, or start the search again with --store to share epochs"
        ) from error


@contextmanager
def written(folder: Path) -> Iterator[None]:
    """InputError, which says how to go on, if the study's disk fails within the block."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # of Tune's types, where it has called the ledger
        if (lost := storage_error(error)) is None:
            raise
        removed = lost.errno in (errno.ENOENT, errno.ENOTDIR)
        remedy = "restore what was removed" if removed else "make room, or make it writable"
        raise InputError(
            f"the study {str(folder)!r} cannot be written ({of_disk(lost)}); {remedy}, and go on "
            f"with growsearch resume {folder}"
        ) from error


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Locks the study's ledger within the block; InputError if another process holds the lock."""
    path = folder / LOCK_FILE
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise InputError(
            f"{str(path)!r} cannot be written ({because(error)}); make it writable, or copy "
            "the study"
        ) from error
    with os.fdopen(descriptor, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"the search of {str(folder)!r} is running in another process; wait for its end, "
                "or end it"
            ) from error
        yield


def remove_half_made(folder: Path) -> None:
    """Removes what a kill has left while it made the study in `folder`; the folder stays."""
    if is_half_made(folder):
        with only_writer(folder):
            if is_half_made(folder):  # another process may have made it meanwhile
                empty(folder)
