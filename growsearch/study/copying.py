"""A copy of a study in another folder or on object storage, kept up to date while a search runs.

A study itself is a folder, because its log is locked and appended to. Its copy has all of its files
but the epoch store, which --store puts elsewhere, and what only the running search needs:

    copied_by    which process writes the copy: the one that began last
"""

import json
import logging
import os
import shutil
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from pyarrow import fs

from growsearch.machine.file_systems import check_spelling, place_to_write
from growsearch.machine.files import MOST_TEXT, is_address
from growsearch.machine.mirror import UNFINISHED, Mirror, content
from growsearch.study.folder import (
    LOCK_FILE,
    LOG_FILE,
    NETWORKS_FOLDER,
    SAMPLER_FILE,
    STORE_FOLDER,
    STUDY_FILE,
    STUDY_ID,
    TUNE_FOLDER,
    check_vacant,
    read_info,
    study_id,
)
from growsearch.trial.errors import InputError, one_line

SECONDS_BETWEEN = 30.0
_WRITER = "copied_by"
_LEFT_OUT = (STORE_FOLDER, TUNE_FOLDER)
_NOT_COPIED = (UNFINISHED, "-journal", LOCK_FILE)
_LAST = (LOG_FILE, STUDY_FILE)
"""Copied after all others: a table is of a trial that the log has, and the study's file makes the
copy one."""
_LOG = logging.getLogger("growsearch")


class StudyCopy:
    """The copy at `place` of the study in `folder`, which this process writes from now on.

    Raises InputError if `place` cannot be used, or has another study.
    """

    def __init__(self, folder: Path, place: str) -> None:
        self.folder, self.place = folder, place
        _check_outside(place, folder)
        self.files = place_to_write(place, "copy_to")
        self._mirror = Mirror(folder, self.files, read=_content)
        self._mark = uuid.uuid4().hex.encode()
        self._dropped: set[str] = set()
        """Copied networks that the study had no more at the last time."""
        self._failed = self._ended = False
        there = _id_at(place)
        if there is not None and there != study_id(folder):
            raise InputError(_other(place))
        try:
            self._mirror.remove_unfinished()
            self._mirror.bring(NETWORKS_FOLDER)
            with self.files.open_output_stream(_WRITER) as stream:
                stream.write(self._mark)
        except OSError as error:
            raise InputError(
                f"copy_to {place!r} cannot be written ({one_line(error)[:300]}); mend that, or "
                "choose another place"
            ) from error

    def update(self) -> None:
        """Copies what has changed. If that cannot be, a warning says so once."""
        if self._ended:
            return
        try:
            if _read(self.files, _WRITER) != self._mark:
                self._ended = True
                _LOG.warning(
                    "another search has begun to write %s, so %s is not copied there any more; "
                    "end one of the two", self.place, self.folder,
                )  # fmt: skip
                return
            names = _names(self.folder)
            self._mirror.update(names)
            self._follow_dropped(names)
            self._failed = False
        except OSError as error:
            if not self._failed:
                _LOG.warning(
                    "%s cannot be copied to %s (%s); it is tried again until the search's end",
                    self.folder, self.place, one_line(error)[:300],
                )  # fmt: skip
            self._failed = True

    def _follow_dropped(self, names: list[str]) -> None:
        """Removes networks that trials have dropped for others, if they are missing twice.

        Nothing else is ever removed: what someone deletes in the study stays in the copy.
        """
        missing = {
            name
            for name in self._mirror.copied - set(names)
            if name.startswith(f"{NETWORKS_FOLDER}/") and any((self.folder / name).parent.glob("*"))
        }
        self._mirror.remove(missing & self._dropped)
        self._dropped = missing - self._dropped

    def follow(self, end: threading.Event) -> None:
        """Brings the copy up to date every SECONDS_BETWEEN until `end`."""
        self.update()
        while not end.wait(SECONDS_BETWEEN):
            self.update()

    def finish(self) -> None:
        """Brings the copy up to date, and the study, with networks from nodes that do not see it.

        Warns if the copy then lacks something.
        """
        self.update()
        try:
            if not self._ended:
                self._mirror.bring(NETWORKS_FOLDER)
        except (OSError, InputError):
            self._failed = True
        if self._failed:
            _LOG.warning(
                "the copy at %s is behind; growsearch resume %s brings it up to date",
                self.place, self.folder,
            )  # fmt: skip


@contextmanager
def copied(folder: Path, place: str | None) -> Iterator[None]:
    """Within the block, and at its end, keeps a copy of the study at `place`; None: none.

    Raises InputError as StudyCopy.
    """
    if place is None:
        yield
        return
    copy, end = StudyCopy(folder, place), threading.Event()
    thread = threading.Thread(target=copy.follow, args=(end,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
        copy.finish()


def copy_once(folder: str | Path, given: str | None = None) -> None:
    """Brings the copy of a study up to date: the one that is `given`, or else the study's own."""
    settings = read_info(folder).get("settings", {})
    place = copy_place(given or settings.get("copy_to"))
    if place is not None:
        StudyCopy(Path(folder), place).finish()


def copy_place(given: str | None) -> str | None:
    """The place as all processes can find it; None for "none". InputError for a misspelt one."""
    if given is None or given == "none":
        return None
    check_spelling(given, "copy_to")
    return given if is_address(given) else str(Path(given).resolve())


def check_new_copy(place: str, folder: str | Path) -> None:
    """InputError if `place` cannot be used, has a study, or is in the folder of the new study."""
    _check_outside(place, folder)
    if _id_at(place) is not None:
        raise InputError(_other(place))


def has_study(place: str) -> bool:
    """Whether there is the copy of a study. Raises InputError if `place` cannot be used."""
    return _id_at(place) is not None


def fetch_study(place: str, folder: str | Path) -> Path:
    """Makes the study in `folder`, which must be new, from its copy at `place`.

    Raises InputError if there is no copy, or it cannot be read or written.
    """
    check_vacant(folder)
    check_spelling(place, "copy_to")
    if not has_study(place):
        raise InputError(f"{place!r} has no copy of a study; give the place that --copy-to named")
    folder = Path(folder).resolve()
    unfinished = folder.with_name(folder.name + UNFINISHED)
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        Mirror(unfinished, place_to_write(place, "copy")).bring()
        (unfinished / _WRITER).unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            folder.rmdir()
        unfinished.rename(folder)
    except OSError as error:
        raise InputError(
            f"the study at {place!r} cannot be copied to {str(folder)!r} "
            f"({one_line(error)[:300]}); mend that, and try again"
        ) from error
    return folder


def _check_outside(place: str, folder: str | Path) -> None:
    if not is_address(place) and Path(place).resolve().is_relative_to(Path(folder).resolve()):
        raise InputError(f"copy_to {place!r} is in the study itself; choose a place outside of it")


def _other(place: str) -> str:
    return (
        f"copy_to {place!r} has the copy of another study; choose another place, or go on with "
        "that study: give its --out, with --resume"
    )


def _id_at(place: str) -> dict[str, str] | None:
    """As `study_id`, of the study that is copied to `place`; None if there is none."""
    if not is_address(place) and not Path(place).is_dir():
        return None
    try:
        text = _read(place_to_write(place, "copy_to"), STUDY_FILE)
    except OSError as error:
        raise InputError(
            f"copy_to {place!r} cannot be read ({one_line(error)[:300]}); mend that, or choose "
            "another place"
        ) from error
    if text is None:
        return None
    try:
        return {STUDY_ID: str(json.loads(text)["id"])}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}


def _read(files: fs.FileSystem, name: str) -> bytes | None:
    """The content of a small file; None if it is not there."""
    if files.get_file_info(name).type != fs.FileType.File:
        return None
    with files.open_input_stream(name) as stream:
        found: bytes = stream.read(MOST_TEXT)
    return found


def _names(folder: Path) -> list[str]:
    """The files that are copied, in this order."""
    names = []
    for place, folders, files in os.walk(folder):
        if Path(place) == folder:
            folders[:] = [name for name in folders if name not in _LEFT_OUT]
        paths = (Path(place, name) for name in sorted(files) if not name.endswith(_NOT_COPIED))
        names += [str(path.relative_to(folder)) for path in paths if not path.is_symlink()]
    return sorted(names, key=lambda name: _LAST.index(name) if name in _LAST else -1)


def _content(path: Path) -> bytes:
    """Of a file, or what the sampler's database holds between two of its changes."""
    if path.name != SAMPLER_FILE:
        return content(path)
    with closing(sqlite3.connect(path)) as disk, closing(sqlite3.connect(":memory:")) as copy:
        disk.backup(copy)
        return copy.serialize()
