"""The epoch store: records and training states by key, on any filesystem that pyarrow supports.

    records/<kk>/<key>   the results of an epoch or a growth: JSON
    states/<kk>/<key>    the training state after an epoch: see machine/saved.py

<kk> are the key's first two digits. A file's first line has the SHA-256 hash of the rest. Files are
written under another name and then moved, so that a reader never sees an incomplete file. They are
never changed: training an epoch again gives the same content.
"""

import errno
import hashlib
import io
import json
import logging
import math
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from pyarrow import fs

from growsearch.machine.file_systems import place_to_read, place_to_write, usable
from growsearch.machine.files import check_file_name, is_address, is_file_name, opened
from growsearch.trial.errors import InputError, one_line

RECORDS, STATES, CLAIMS = "records", "states", "claims"
_UNFINISHED = "unfinished"
FILES_PER_READER = 2000
"""Files that one process reads in about the time that another takes to start."""
_MOST_RECORD = 2**24
"""The largest record that is read, in bytes; they take some kilobytes."""
_PART = 2**20
_MOST_WORK = 2**30
"""A file counts as no more bytes: it may say that it has more than are on disk."""
_MAGIC = b"growsearch-1 "
_LOG = logging.getLogger("growsearch")
PAUSES, SECONDS_AWAY = (0.5, 1.0, 2.0, 4.0), 60.0
"""Seconds before a server that fails is asked again, and for how long it is then left alone."""
_T = TypeVar("_T")


class EpochStore:
    """The store at `place`: a folder, or an address such as s3://bucket/folder.

    `owner` names the search that claims epochs (see claims.py); the default names this process. If
    states take more than `state_bytes`, `trim` drops those of the earliest epochs, which take the
    least time to train again.

    Any number of processes may read and write the store at once. The store never stops a trial: if
    it cannot be written (a full disk) or a file is damaged, it logs a warning, and epochs are
    trained again. A damaged file is removed, unless who only reads gives `mends` as False. Raises
    InputError if `place` cannot be used.
    """

    def __init__(
        self, place: str, owner: str | None = None, state_bytes: int | None = None,
        mends: bool = True,
    ) -> None:  # fmt: skip
        self.owner = owner or f"process {os.getpid()} on {socket.gethostname()}"
        self.is_local = not is_address(place)
        self.files = place_to_write(place, "store")
        self.place = str(Path(place).resolve()) if self.is_local else place
        self.state_bytes, self.mends = state_bytes, mends
        self._unchecked_bytes = math.inf
        """Bytes of states written since `trim` last listed the states; inf before it has."""
        self._warned = False
        self._away_until = 0.0

    @property
    def is_away(self) -> bool:
        """Whether the store's server has just not answered, so that it is not asked now."""
        return time.monotonic() < self._away_until

    def _patiently(self, work: Callable[[], _T]) -> _T:
        """What `work` returns. A server that fails is asked again after each of PAUSES.

        Raises the last OSError. The server is then not asked for SECONDS_AWAY, and each call
        raises OSError at once; after that it is asked once at a time, until it answers. Errors of
        this machine's disks are raised at once.
        """
        if self.is_away:
            raise OSError(errno.EHOSTDOWN, "it did not answer")
        for pause in (None,) if self._away_until else (*PAUSES, None):
            try:
                result = work()
                self._away_until = 0.0
                return result
            except (FileNotFoundError, FileExistsError):
                self._away_until = 0.0
                raise
            except OSError:
                if self.is_local:
                    raise
                if pause is None:
                    self._away_until = time.monotonic() + SECONDS_AWAY
                    raise
                time.sleep(pause)
        raise AssertionError("the last pause is None")

    def has(self, kind: str, key: str) -> bool:
        """Whether the store has an entry, which may be damaged; False if it does not answer."""
        try:
            return self._patiently(partial(self._has, kind, key))
        except OSError as error:
            self._warn(error)
            return False

    def _has(self, kind: str, key: str) -> bool:
        return self.files.get_file_info(entry_path(kind, key)).type == fs.FileType.File

    def _warn(self, error: OSError) -> None:
        """Says once that the store fails."""
        if not self._warned:
            _LOG.warning(
                "store %s cannot be used (%s); training continues without it, and epochs that it "
                "has are trained again", self.place, one_line(error)[:300],
            )  # fmt: skip
        self._warned = True

    def record(self, key: str) -> dict[str, Any] | None:
        """The record of `key`; None if the store has none."""
        content = self._read(RECORDS, key)
        if content is None:
            return None
        try:
            record = json.loads(content)
            if not isinstance(record, dict):
                raise ValueError("it is no dict")
        except (ValueError, RecursionError) as error:
            self.refuse(RECORDS, key, error)
            return None
        return record

    def remember(self, key: str, record: dict[str, Any]) -> None:
        """Writes the record of `key`."""
        self._write(RECORDS, key, json.dumps(record).encode())

    def state(self, key: str) -> dict[str, Any] | None:
        """The contents of the state after the epoch of `key`, on the CPU; None if there is none."""
        content = self._read(STATES, key)
        if content is None:
            return None
        from growsearch.machine.saved import load_tensors

        try:
            return load_tensors(content)
        except Exception as error:  # of many types
            self.refuse(STATES, key, error)
            return None

    def refuse(self, kind: str, key: str, error: Exception) -> None:
        """Removes an entry that is whole but not what it should be, as `error` says."""
        why = f"no such entry ({type(error).__name__}: {one_line(error)[:200]})"
        self._drop(entry_path(kind, key), why)

    def _drop(self, path: str, why: str) -> None:
        again = "; it is made again" if self.mends else ""
        _LOG.warning("%s in store %s is %s%s", path, self.place, why, again)
        if self.mends:
            self.remove(path)

    def keep(self, key: str, contents: dict[str, Any]) -> bool:
        """Writes the state after the epoch of `key`; returns whether the store has it now."""
        from growsearch.machine.saved import save_tensors

        buffer = io.BytesIO()
        try:
            save_tensors(contents, buffer)
        except InputError as error:
            _LOG.warning("store %s cannot keep a state (%s)", self.place, error)
            return False
        self._unchecked_bytes += buffer.tell()
        return self._write(STATES, key, buffer.getvalue())

    def trim(self) -> None:
        """Drops states beyond `state_bytes`, each time that a twentieth of it has been written."""
        if self.state_bytes is not None and self._unchecked_bytes > self.state_bytes / 20:
            try:
                self._patiently(partial(collect, self, self.state_bytes))
            except OSError as error:
                self._warn(error)
            self._unchecked_bytes = 0

    def drop(self, key: str) -> bool:
        """Removes the state of `key`, but not its record; returns whether there was one."""
        return self.remove(entry_path(STATES, key))

    def entries(self, kind: str) -> Iterator[fs.FileInfo]:
        """The files of `kind`, RECORDS, STATES or CLAIMS, listed folder by folder.

        What is not named like an entry of its folder is none.
        """
        for prefix in range(256):
            yield from self._folder(kind, prefix)

    def _folder(self, kind: str, prefix: int) -> list[fs.FileInfo]:
        place = f"{kind}/{prefix:02x}"
        if self._link_in(place):
            _LOG.warning("%s in store %s is a link, which is not followed", place, self.place)
            return []
        entries = self.files.get_file_info(fs.FileSelector(place, allow_not_found=True))
        return [
            entry
            for entry in entries
            if entry.type == fs.FileType.File
            and is_file_name(entry.base_name)
            and entry.path == entry_path(kind, entry.base_name)
        ]

    def _link_in(self, path: str) -> bool:
        """Whether a part of `path` below the store's place is a link, on this machine's disks."""
        parts = Path(path).parts if self.is_local else ()
        return any(Path(self.place, *parts[:n]).is_symlink() for n in range(1, len(parts) + 1))

    def check_path(self, path: str) -> None:
        """OSError if `path` may lead out of the store, or is a pipe, whose reading may not end."""
        if self._link_in(path):
            raise OSError(errno.ELOOP, "it is a link, or in one", path)
        there = Path(self.place, path) if self.is_local else None
        if there is not None and there.exists() and not (there.is_file() or there.is_dir()):
            raise OSError(errno.EINVAL, "it is no file", path)

    def _too_large(self, kind: str, path: str, size: int) -> bool:
        """Whether a file of this size cannot be an entry: it has hardly a byte on disk, say."""
        if kind != STATES:
            return size > _MOST_RECORD
        if not self.is_local:
            return False
        try:
            opened(Path(self.place, path)).close()
        except OSError:
            return True
        return False

    def damaged(self, kind: str) -> list[str]:
        """Paths of the files of `kind` whose content does not match their hash.

        Up to four processes a core read them, because a process waits for the disk at each file. A
        small store is read by this process alone.
        """
        read = partial(_damaged, self.place, kind)
        processes = readers(self.entries(kind), 4 * (os.cpu_count() or 1))
        if processes == 1:
            return [path for prefix in range(256) for path in read(prefix)]
        with get_context("spawn").Pool(processes) as pool:
            return [path for paths in pool.imap(read, range(256)) for path in paths]

    def sweep(self) -> None:
        """Removes unfinished files and claims, which killed processes have left, after an hour."""
        before = datetime.now(UTC) - timedelta(hours=1)
        left = list(self.entries(CLAIMS))
        if not self._link_in(_UNFINISHED):
            left += self.files.get_file_info(fs.FileSelector(_UNFINISHED, allow_not_found=True))
        for entry in left:
            if entry.mtime is not None and entry.mtime < before:
                self.remove(entry.path)

    def is_whole(self, path: str) -> bool:
        """Whether the content of the file at `path` matches its hash; true if the file is gone."""
        try:
            self.check_path(path)
            with self.files.open_input_file(path) as file:
                if self._too_large(Path(path).parts[0], path, file.size()):
                    return False
                head, found = file.read(len(_head(b"")) + 1), hashlib.sha256()
                while part := file.read(_PART):
                    found.update(part)
                return head == _MAGIC + found.hexdigest().encode() + b"\n"
        except FileNotFoundError:  # another process has dropped it
            return True
        except OSError:
            if not self.is_local:
                raise
            return False

    def _read(self, kind: str, key: str) -> bytes | None:
        path = entry_path(kind, key)
        try:
            self.check_path(path)
            content = self._patiently(partial(self._whole, kind, path))
        except FileNotFoundError:
            return None
        except OSError as error:
            if not self.is_local:
                self._warn(error)
                return None
            _LOG.warning("%s in store %s cannot be read (%s)", path, self.place, one_line(error))
            return None
        if content is None:
            self._drop(path, "damaged")
        return content

    def _whole(self, kind: str, path: str) -> bytes | None:
        """The content of a file; None if it is damaged, or larger than such files are."""
        with self.files.open_input_file(path) as file:
            too_large = self._too_large(kind, path, file.size())
            return None if too_large else _content(file.read())

    def _write(self, kind: str, key: str, content: bytes) -> bool:
        path = entry_path(kind, key)
        unfinished = f"{_UNFINISHED}/{uuid.uuid4().hex}"
        try:
            self.check_path(path)
            self.check_path(_UNFINISHED)
            self._patiently(partial(self._put, kind, key, unfinished, content))
        except OSError as error:
            if not self.is_local:
                self._warn(error)
            if not self._warned:
                _LOG.warning(
                    "store %s cannot be written (%s); training continues without storing epochs",
                    self.place, one_line(error),
                )  # fmt: skip
            self._warned = True
            self.remove(unfinished)
            return False
        return True

    def _put(self, kind: str, key: str, unfinished: str, content: bytes) -> None:
        """Writes an entry, unless there is one."""
        if self._has(kind, key):
            return
        path = entry_path(kind, key)
        self.files.create_dir(_UNFINISHED, recursive=True)
        self.files.create_dir(path.rpartition("/")[0], recursive=True)
        with self.files.open_output_stream(unfinished) as file:
            file.write(_head(content) + b"\n")
            file.write(content)
        self.files.move(unfinished, path)

    def remove(self, path: str) -> bool:
        """Removes the file at `path`, if it exists; returns whether it did.

        A link is removed, but nothing in a folder that is one.
        """
        if self.is_away:
            return False
        with suppress(OSError):  # it does not exist, or another process has removed it
            self.check_path(path.rpartition("/")[0])
            self.files.delete_file(path)
            return True
        return False


def reached(
    place: str, owner: str | None = None, state_bytes: int | None = None
) -> EpochStore | None:
    """The store at `place`, which was there before; None, with a warning, if it fails now.

    Its server is asked again after each of PAUSES. A trial then trains without it.
    """
    for pause in (*PAUSES, None):
        try:
            return EpochStore(place, owner, state_bytes)
        except InputError as error:
            if pause is None or not is_address(place):
                _LOG.warning("%s; training continues without it", error)
                return None
            time.sleep(pause)
    return None


def existing(place: str, mends: bool = True) -> EpochStore:
    """The store at `place`. Raises InputError if there is none."""
    if is_address(place):
        files = place_to_read(place, "store")
        with usable(place, "store", "read"):
            is_store = files.get_file_info(RECORDS).type == fs.FileType.Directory
    else:
        is_store = Path(place, RECORDS).is_dir()
    if not is_store:
        raise InputError(f"{place!r} is not an epoch store; give the folder that --store named")
    return EpochStore(place, mends=mends)


def in_bytes(megabytes: float | None) -> int | None:
    """The limit for states in bytes; None for no limit. Raises InputError if it is not a size."""
    if megabytes is not None and not 0 <= megabytes < 2**63:
        raise InputError(f"state_megabytes={megabytes} is not a size; give 0 or more")
    return None if megabytes is None else int(megabytes * 1e6)


def collect(store: EpochStore, budget: int) -> tuple[int, int]:
    """Drops states until the rest takes at most `budget` bytes; returns their number and bytes.

    States of the earliest epochs are dropped first. Unfinished files and claims are removed after
    an hour. States that cannot be removed, on a read-only disk for example, are not counted.
    """
    states = []
    for entry in store.entries(STATES):
        epoch = (store.record(entry.base_name) or {}).get("epoch", 0)
        states.append((epoch if isinstance(epoch, int) else 0, entry.base_name, entry.size))
    excess = sum(size for *_, size in states) - budget
    dropped = freed = 0
    for _, key, size in sorted(states):
        if freed >= excess:
            break
        if store.drop(key):
            dropped, freed = dropped + 1, freed + size
    store.sweep()
    return dropped, freed


def readers(entries: Iterable[fs.FileInfo], most: int) -> int:
    """How many processes read the `entries`: one for each FILES_PER_READER, and at most `most`.

    A megabyte takes about as long as one more file. Entries are counted only until `most` is
    reached.
    """
    work = 0.0
    for entry in entries:
        work += 1 + min(entry.size, _MOST_WORK) / 1e6
        if work > most * FILES_PER_READER:
            break
    return min(max(math.ceil(work / FILES_PER_READER), 1), most)


def _damaged(place: str, kind: str, prefix: int) -> list[str]:
    """`EpochStore.damaged` for one folder, in a process of its own."""
    store = EpochStore(place)
    paths = (entry.path for entry in store._folder(kind, prefix))
    return [path for path in paths if not store.is_whole(path)]


def entry_path(kind: str, key: str) -> str:
    """The path of the entry of `kind` and `key`, below the store's place.

    Raises InputError for a key that would lead out of the store.
    """
    return f"{kind}/{key[:2]}/{check_file_name(key, 'key')}"


def _content(file: bytes) -> bytes | None:
    """What follows the first line; None if the first line does not have its hash."""
    head, _, content = file.partition(b"\n")
    return content if head == _head(content) else None


def _head(content: bytes) -> bytes:
    return _MAGIC + hashlib.sha256(content).hexdigest().encode()
