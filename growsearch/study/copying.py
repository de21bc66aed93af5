"""A copy of a study in another folder or on object storage, kept up to date while a search runs.

A study itself is a folder, because its log is locked and appended to. Its copy has its files but
those of the epoch store, which --store puts elsewhere, and those that only a running search needs:

    copied_by    which process writes the copy: the one that began last
"""

import io
import json
import logging
import os
import shutil
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from pyarrow import fs

from growsearch.machine.file_systems import check_spelling, place_to_read, place_to_write
from growsearch.machine.files import MOST_TEXT, UNFINISHED, is_address, is_file_name, opened
from growsearch.machine.mirror import Changed, Mirror, content
from growsearch.study.ended import ENDED_FILE
from growsearch.study.folder import (
    LOCK_FILE,
    LOG_FILE,
    NETWORKS_FOLDER,
    PLUGINS_FOLDER,
    REPORT_FILES,
    STORE_FOLDER,
    STUDY_FILE,
    STUDY_ID,
    TRIALS_FOLDER,
    TUNE_FOLDER,
    check_vacant,
    read_info,
    study_id,
)
from growsearch.trial.errors import InputError, one_line

_T = TypeVar("_T")
SECONDS_BETWEEN = 30.0
_WRITER = "copied_by"
_MARK = uuid.uuid4().hex.encode()
"""The id of this process."""
_LEFT_OUT = {STORE_FOLDER, TUNE_FOLDER, LOCK_FILE, ENDED_FILE, _WRITER}
_PASSING = (UNFINISHED, "-journal", "-wal", "-shm")
_SQLITE = b"SQLite format 3\0"
_LOG = logging.getLogger("growsearch")


class _Taken(Exception):
    """Another process writes the copy."""


class StudyCopy:
    """The copy at `place` of the study in `folder`. A thread of its own runs `follow`."""

    def __init__(self, folder: Path, place: str) -> None:
        self.folder, self.place = folder, place
        self._begun: tuple[fs.FileSystem, Mirror] | None = None
        self._dropped: set[str] = set()
        """Copied networks that the study no longer had at the last update."""
        self._unread: set[str] = set()
        self._failed = self._ended = False

    def follow(self, end: threading.Event) -> None:
        """Brings the copy up to date every SECONDS_BETWEEN until `end`, and then once more."""
        while not end.is_set():
            self.update(end.is_set)
            end.wait(SECONDS_BETWEEN)
        self.finish()

    def update(self, stops: Callable[[], bool] = lambda: False) -> None:
        """Copies what has changed, until `stops()`. If that cannot be, a warning says so once."""
        if self._ended:
            return
        try:
            files, mirror = self._begun = self._begun or self._begin()
            self._update(files, mirror, stops)
            self._failed = False
        except _Taken:
            self._ended = True
            _LOG.warning(
                "another search has begun to write %s, so %s is no longer copied there; end one "
                "of the two", self.place, self.folder,
            )  # fmt: skip
        except Exception as error:  # of many types; the search goes on whatever it is
            if not self._failed:
                _LOG.warning(
                    "%s cannot be copied to %s (%s); it is tried again until the search's end",
                    self.folder, self.place, one_line(error)[:300],
                )  # fmt: skip
            self._failed = True

    def finish(self) -> None:
        """Brings the copy up to date, and the study, with networks from nodes that do not see it.

        A warning says if the copy then lacks something.
        """
        self.update()
        try:
            if self._begun and not self._ended and (self.folder / STUDY_FILE).exists():
                self._begun[1].bring(NETWORKS_FOLDER, but=self._dropped)
        except OSError:
            self._failed = True
        self._say_behind()

    def add_report(self) -> None:
        """Copies the report, if this process writes the copy."""
        try:
            files = place_to_write(self.place, "copy")
            if _read(files, _WRITER) == _MARK:
                Mirror(self.folder, files).update(REPORT_FILES)
        except (OSError, InputError):
            self._failed = True
        self._say_behind()

    def _say_behind(self) -> None:
        if self._failed:
            _LOG.warning(
                "the copy at %s is behind; growsearch resume %s --copy-to %s brings it up to date",
                self.place, self.folder, self.place,
            )  # fmt: skip

    def _begin(self) -> tuple[fs.FileSystem, Mirror]:
        check_copy(self.place, self.folder)
        files = place_to_write(self.place, "copy")
        mirror = Mirror(self.folder, files, read=_content)
        if _read(files, STUDY_FILE) is not None:
            mirror.remove_unfinished((TRIALS_FOLDER, NETWORKS_FOLDER, PLUGINS_FOLDER))
            mirror.bring(NETWORKS_FOLDER)
        with files.open_output_stream(_WRITER) as stream:
            stream.write(_MARK)
        return files, mirror

    def _update(self, files: fs.FileSystem, mirror: Mirror, stops: Callable[[], bool]) -> None:
        """Results first. The log is read before the tables and written after them: whenever this
        ends, no table in the copy is behind its log.
        """

        def copy(names: Iterable[str]) -> None:
            for name in names:
                if stops():
                    return
                if (changed := self._changed(mirror, name)) is not None:
                    mirror.write(name, changed)

        self._check_writer(files)
        log = self._changed(mirror, LOG_FILE)
        names = _names(self.folder)
        later = [name for name in names if _is_network(name) or name in REPORT_FILES]
        copy(name for name in names if name not in {*later, LOG_FILE, STUDY_FILE})
        if stops():
            return
        self._check_writer(files)
        if log is not None:
            mirror.write(LOG_FILE, log)
        copy([STUDY_FILE, *later])
        self._follow_dropped(mirror, names)

    def _changed(self, mirror: Mirror, name: str) -> Changed | None:
        """As `Mirror.changed`; a file that cannot be read is left out with a warning."""
        try:
            return mirror.changed(name)
        except OSError as error:
            if name not in self._unread:
                _LOG.warning("%s is not copied (%s)", self.folder / name, one_line(error)[:200])
            self._unread.add(name)
            return None

    def _check_writer(self, files: fs.FileSystem) -> None:
        if _read(files, _WRITER) != _MARK:
            raise _Taken

    def _follow_dropped(self, mirror: Mirror, names: list[str]) -> None:
        """Removes networks that trials have dropped for others, if they are missing twice.

        Nothing else is ever removed: what someone deletes in the study stays in the copy.
        """
        missing = {
            name
            for name in mirror.copied - set(names)
            if _is_network(name) and any((self.folder / name).parent.glob("*"))
        }
        mirror.remove(missing & self._dropped)
        self._dropped = missing - self._dropped


@contextmanager
def copied(folder: Path, place: str | None) -> Iterator[None]:
    """Within the block, and at its end, keeps a copy of the study at `place`; None: none."""
    if place is None:
        yield
        return
    end = threading.Event()
    thread = threading.Thread(target=StudyCopy(folder, place).follow, args=(end,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def copy_report(folder: str | Path, given: str | None = None) -> None:
    """Adds the report to the copy of a study: the one that is `given`, or else the study's own."""
    settings = read_info(folder).get("settings", {})
    if (place := copy_place(given or settings.get("copy_to"))) is not None:
        # what an interrupt ends within a stream is written as if it were whole
        thread = threading.Thread(target=StudyCopy(Path(folder), place).add_report, daemon=True)
        thread.start()
        thread.join()


def copy_place(given: str | None) -> str | None:
    """The place as all processes can find it; None for "none". InputError for what is no place."""
    if given is None or given == "none":
        return None
    if not given.strip():
        raise InputError(f"copy {given!r} is no place; give a folder or an address")
    check_spelling(given, "copy")
    if given.startswith("file://"):
        given = unquote(urlsplit(given).path)
    return given if is_address(given) else str(Path(given).resolve())


def check_new_copy(place: str, folder: str | Path) -> None:
    """InputError if the study that `folder` is to have cannot be copied to `place`."""
    _check_apart(place, folder)
    if has_study(place):
        raise InputError(_other(place))
    place_to_write(place, "copy")


def check_copy(place: str, folder: str | Path) -> None:
    """InputError if the study in `folder` cannot be copied to `place`.

    Another study may be there, or a copy from which this one has gone on elsewhere.
    """
    _check_apart(place, folder)
    there = _id_at(place)
    if there is not None and there != study_id(folder):
        raise InputError(_other(place))
    files = place_to_write(place, "copy")
    if _asked(place, lambda: _has_more(files, Path(folder, LOG_FILE))):
        raise InputError(
            f"the study {str(folder)!r} is behind its copy {place!r}, from which a search has gone "
            "on elsewhere; move the folder away to go on from the copy, or choose another place"
        )


def _has_more(files: fs.FileSystem, log: Path) -> bool:
    """Whether the log that is copied to `files` has whole lines that `log` does not begin with."""
    if files.get_file_info(LOG_FILE).type != fs.FileType.File:
        return False
    with (
        io.BufferedReader(files.open_input_stream(LOG_FILE)) as there,
        opened(log) if log.is_file() else io.BytesIO() as here,
    ):
        while (line := there.readline(MOST_TEXT)).endswith(b"\n"):
            if here.readline(MOST_TEXT) != line:
                return True
    return len(line) == MOST_TEXT  # no line of ours is so long


def has_study(place: str) -> bool:
    """Whether there is the copy of a study. Raises InputError if `place` cannot be read."""
    return _id_at(place) is not None


def fetch_study(place: str, folder: str | Path) -> Path:
    """Makes the study in `folder`, which must be new, from its copy at `place`.

    Raises InputError if there is no copy, or it cannot be read or written.
    """
    given, folder = folder, Path(folder).resolve()
    # within the folder, which cannot be replaced where a disk is mounted
    half, whole = folder / f"fetching{UNFINISHED}", folder / f"fetched{UNFINISHED}"
    left_out = []
    try:
        if not (whole / STUDY_FILE).is_file() or study_id(whole) != _id_at(place):
            if half.is_dir() and [*folder.iterdir()] == [half]:
                shutil.rmtree(half)
            check_vacant(given, "give a new one")
            if not has_study(place):
                raise InputError(
                    f"{place!r} has no copy of a study; give the place that --copy-to named"
                )
            (half / TRIALS_FOLDER).mkdir(parents=True)
            left_out = Mirror(half, place_to_read(place, "copy")).bring(but=_LEFT_OUT)
            _drop_unknown(half)
            half.rename(whole)
        for path in sorted(whole.iterdir(), key=lambda path: path.name == STUDY_FILE):
            path.rename(folder / path.name)  # last the file that makes the folder a study
        whole.rmdir()
    except OSError as error:
        shutil.rmtree(half, ignore_errors=True)
        raise InputError(
            f"the study at {place!r} cannot be copied to {str(folder)!r} "
            f"({one_line(error)[:300]}); remove the cause, and try again"
        ) from error
    if left_out:
        _LOG.warning(
            "%d files of %s are left out, like %r: a study has none of such names",
            len(left_out), place, left_out[0][:100],
        )  # fmt: skip
    return folder


def _drop_unknown(folder: Path) -> None:
    """Removes tables of trials that the log, which is older, does not have."""
    log = folder / LOG_FILE
    if not log.is_file():  # of a single trial
        return
    known = set()
    with opened(log) as lines:
        for line in lines:
            try:
                known.add(f"{json.loads(line)['trial']}.parquet")
            except (ValueError, KeyError, TypeError, RecursionError):
                continue  # it is cut, or damaged, which is said when it is read
    for table in (folder / TRIALS_FOLDER).glob("*.parquet"):
        if table.name not in known:
            table.unlink()


def _check_apart(place: str, folder: str | Path) -> None:
    if is_address(place):
        return
    there, study = Path(place).resolve(), Path(folder).resolve()
    if there.is_relative_to(study) or study.is_relative_to(there):
        raise InputError(
            f"copy {place!r} and the study {str(folder)!r} are in one another; choose another place"
        )


def _other(place: str) -> str:
    return (
        f"copy {place!r} is of another study; choose another place, or go on with that study: give "
        "its --out, with --resume"
    )


def _asked(place: str, work: Callable[[], _T]) -> _T:
    try:
        return work()
    except OSError as error:
        raise InputError(
            f"copy {place!r} cannot be read ({one_line(error)[:300]}); remove the cause, or choose "
            "another place"
        ) from error


def _id_at(place: str) -> dict[str, str] | None:
    """As `study_id`, of the study that is copied to `place`; None if there is none."""
    files = place_to_read(place, "copy")
    text = _asked(place, lambda: _read(files, STUDY_FILE))
    if text is None:
        return None
    try:
        return {STUDY_ID: str(json.loads(text)["id"])}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}


def _read(files: fs.FileSystem, name: str) -> bytes | None:
    """The content of a file, at most MOST_TEXT bytes of it; None if it is not there."""
    if files.get_file_info(name).type != fs.FileType.File:
        return None
    with files.open_input_stream(name) as stream:
        found: bytes = stream.read(MOST_TEXT)
    return found


def _is_network(name: str) -> bool:
    return name.startswith(f"{NETWORKS_FOLDER}/")


def _names(folder: Path) -> list[str]:
    """The files that are copied."""
    names = []
    for place, folders, files in os.walk(folder):
        if Path(place) == folder:
            folders[:] = [name for name in folders if name not in _LEFT_OUT]
            files = [name for name in files if name not in _LEFT_OUT]
        folders[:] = [name for name in folders if is_file_name(name)]
        paths = (
            Path(place, name)
            for name in files
            if is_file_name(name) and not name.endswith(_PASSING)
        )
        names += [str(path.relative_to(folder)) for path in paths if not path.is_symlink()]
    return sorted(names)


def _content(path: Path) -> bytes:
    """What a file holds; of a database, what it holds between two of its changes."""
    found = content(path)
    if not found.startswith(_SQLITE):
        return found
    try:
        with (
            closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as disk,
            closing(sqlite3.connect(":memory:")) as copy,
        ):
            disk.backup(copy)
            return copy.serialize()
    except sqlite3.Error as error:
        raise OSError(f"the database cannot be read: {one_line(error)}") from error
