"""A study that is read again whenever its files have changed: what a live report shows."""

import secrets
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from growsearch.study.budget_end import all_statuses
from growsearch.study.ended import Stamp, stamps
from growsearch.study.folder import LOG_FILE, STUDY_FILE, is_half_made, read_info, tables_of
from growsearch.study.page import json_text
from growsearch.study.page_data import page_data
from growsearch.study.report import study_subject
from growsearch.trial.errors import InputError, one_line
from growsearch.trial.status import Status

EVERY = 2.0
"""Seconds between two looks at the files."""
SHARE = 5
"""After data were gathered, the next gathering waits this multiple of the time that it took."""
LONGEST = 60.0
"""Seconds that a gathering waits at most."""
QUIET = 10.0
"""Seconds without a change of its files after which a study whose trials have ended has finished: a
search may add trials when one ends."""
_MAKING = 30.0
"""Seconds that a study may take from its folder to its first files."""


@dataclass(frozen=True)
class State:
    """What a page asks for every few seconds."""

    version: str
    """Version of the data; it changes when they change."""
    state: str
    """waiting (for a first epoch), going or finished."""
    ended: int
    """How many of the shown trials have ended."""
    problem: str | None = None
    """Why the study could not be read at the last look; what is shown is from before."""
    left: str | None = None
    """What is said of a search whose budget is spent while trials are open, as a sentence."""


@dataclass(frozen=True)
class Shown:
    """A state and its data, which belong together."""

    title: str
    data: str
    """The page's data, of `json_text`."""
    state: State


class LiveStudy:
    """The study in `folder`, as its files were at the last look.

    One thread calls `look`; others may read `shown` at any time. Trials are compared as in
    `write_report`.
    """

    def __init__(self, folder: str | Path, metric_name: str | None = None) -> None:
        self.folder = Path(folder)
        self.gathered = 0
        """How often data were gathered."""
        self._metric = metric_name
        self._start = secrets.token_hex(4)  # versions of another server's start are others
        self._seen: dict[str, Stamp] = {}
        self._looked = 0.0
        self._all_ended = False
        self._shown: Shown | None = None
        self._lock = threading.Lock()

    @property
    def shown(self) -> Shown:
        """What there is to show; there must have been a look."""
        with self._lock:
            assert self._shown is not None
            return self._shown

    def look(self) -> bool:
        """Gather the data if files have changed since the last look, and say whether they had.

        Raises InputError as `write_report` does, but only at the first look. Later, what was
        shown stays, and its state names the problem.
        """
        try:
            changed = self._look()
        except InputError as error:
            if self._shown is None:
                raise
            self._show_state(problem=one_line(error))
            return False
        if not changed:
            self._show_state()
        return changed

    def _look(self) -> bool:
        if self._shown is None:
            read_info(self.folder)  # says first what is no study
        self._looked = time.time()
        now = self._stamps()
        if now == self._seen and self._shown is not None:
            return False
        # stamps are from before the reading: what changes meanwhile is read at the next look
        subject = study_subject(self.folder, self._metric)
        data = page_data(subject, live=True)
        self.gathered += 1
        self._seen = now
        self._all_ended = _all_ended(subject.folder, subject.info, subject.trials)
        statuses = [Status(status) for status in subject.trials["status"]]
        state = State(
            version=f"{self._start}-{self.gathered}",
            state=self._phase(len(statuses)),
            ended=sum(status.ended for status in statuses),
            left=subject.left,
        )
        shown = Shown(subject.title, json_text(data | {"live": asdict(state)}), state)
        with self._lock:
            self._shown = shown
        return True

    def _show_state(self, problem: str | None = None) -> None:
        """The state may change without new data: a finished study is one that stays as it is."""
        shown = self.shown
        phase = "finished" if self._is_finished() else shown.state.state
        state = replace(shown.state, state=phase, problem=problem)
        with self._lock:
            self._shown = Shown(shown.title, shown.data, state)

    def _phase(self, trials: int) -> str:
        if not trials:
            return "waiting"
        return "finished" if self._is_finished() else "going"

    def _is_finished(self) -> bool:
        newest = max((changed for _, changed in self._seen.values()), default=0) / 1e9
        return self._all_ended and self._looked - newest >= QUIET

    def _stamps(self) -> dict[str, Stamp]:
        files = [self.folder / STUDY_FILE, self.folder / LOG_FILE, *tables_of(self.folder)]
        return stamps(files)

    def wait_until_made(self) -> None:
        """Wait while a search or a trial is making the study's folder, half a minute at most."""
        end = time.monotonic() + _MAKING
        while is_half_made(self.folder) and time.monotonic() < end:
            if (self.folder / STUDY_FILE).exists():
                return
            time.sleep(0.2)

    def follow(self) -> None:
        """Look again and again, until the process is interrupted."""
        pause = EVERY
        while True:
            time.sleep(pause)
            begun = time.monotonic()
            changed = self.look()
            took = time.monotonic() - begun
            pause = min(max(EVERY, SHARE * took), LONGEST) if changed else EVERY


def _all_ended(folder: Path, info: dict[str, Any], trials: pd.DataFrame) -> bool:
    """Whether all trials that the study shall have are there and have ended."""
    known = all_statuses(folder, trials)
    return (
        bool(known)
        and len(known) >= info.get("trials", 0)
        and all(status.ended for status in known.values())
    )
