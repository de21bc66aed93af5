"""What a report reads from a search's log: the order of events, and what trials were given."""

import json
from collections.abc import Iterator
from pathlib import Path

from growsearch.machine.files import opened
from growsearch.trial.options import Value
from growsearch.trial.status import Status

_BEGIN = b'{"trial": "'


def ending_order(log: Path) -> list[str]:
    """The trials of a search's log, in the order of their last lines; [] without a log.

    Lines are not parsed, because a log may have hundreds of megabytes: each begins with its trial.
    """
    last = {name: number for number, (name, _) in enumerate(_lines(log))}
    return sorted(last, key=lambda name: last[name])


def given_in_log(log: Path) -> dict[str, dict[str, Value]]:
    """By trial, the options that its search gave it, several values as text.

    A damaged line is left out.
    """
    found: dict[str, dict[str, Value]] = {}
    for name, line in _lines(log):
        if b'"given": {' not in line:
            continue
        try:
            found[name] = dict(json.loads(line)["given"])
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return found


def last_statuses(log: Path) -> dict[str, Status]:
    """By trial, the last status that the log has; {} without a log. Only last lines are parsed.

    A trial whose last line is damaged counts as running.
    """
    found = {}
    for name, line in dict(_lines(log)).items():
        try:
            told = json.loads(line)
            begun = Status.WAITING if "config" in told else Status.RUNNING
            found[name] = Status(told.get("status", begun))
        except (ValueError, AttributeError, RecursionError):
            found[name] = Status.RUNNING
    return found


def _lines(log: Path) -> Iterator[tuple[str, bytes]]:
    """The lines of the log with the trial that each is about; none if it cannot be read."""
    try:
        with opened(log) as lines:
            for line in lines:
                if line.startswith(_BEGIN):
                    name = line[len(_BEGIN) :].partition(b'"')[0]
                    yield name.decode(errors="replace"), line
    except OSError:
        return
