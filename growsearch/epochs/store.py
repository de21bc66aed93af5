"""Epochs remembered: records and states by their keys, on any filesystem that pyarrow knows.

    records/<kk>/<key>   what an epoch, or a growth, came to: JSON
    states/<kk>/<key>    the training state after an epoch: what torch.save writes

<kk> are the key's first two digits. A file begins with a line that has the hash of the rest. It is
written under another name and moved, so that a reader sees all of it or nothing, and it is never
changed: whoever computes an epoch again writes the same.
"""

import hashlib
import io
import json
import logging
import math
import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from pyarrow import fs

from growsearch.trial.errors import InputError, one_line

RECORDS, STATES = "records", "states"
_UNFINISHED = "unfinished"
_MAGIC = b"growsearch-1 "
_LOG = logging.getLogger("growsearch")


class EpochStore:
    """The store at `place`: a folder, or an address such as s3://bucket/folder.

    `owner` is who claims epochs here (see claims.py): a search, or by default this process. Beyond
    `state_bytes` of states it drops those of the earliest epochs, which are the soonest trained
    again, whenever it has written a twentieth of that.

    Any number of processes may read and write it at once. What cannot be written (a full disk) or
    read (a damaged file, which is removed) is logged once and trained anew: a store never stops a
    trial. Raises InputError if there is no such filesystem.
    """

    def __init__(
        self, place: str, owner: str | None = None, state_bytes: int | None = None
    ) -> None:
        self.owner = owner or f"process {os.getpid()} on {socket.gethostname()}"
        self.is_local = "://" not in place
        self.place = str(Path(place).resolve()) if self.is_local else place
        try:
            if self.is_local:
                base, path = fs.LocalFileSystem(), self.place
            else:
                base, path = fs.FileSystem.from_uri(place)
            base.create_dir(path, recursive=True)
        except (OSError, ValueError) as error:
            raise InputError(
                f"store {place!r} cannot be used ({one_line(error)}); give a folder or an address "
                "like s3://bucket/folder"
            ) from error
        self.files = fs.SubTreeFileSystem(path, base)
        self.state_bytes = state_bytes
        self._unweighed = math.inf
        """Bytes of states written since the last look at what there is."""
        self._complained = False

    def has(self, kind: str, key: str) -> bool:
        """Whether there is an entry; a look inside may find it damaged."""
        return self.files.get_file_info(entry_path(kind, key)).type == fs.FileType.File

    def record(self, key: str) -> dict[str, Any] | None:
        """What was remembered under `key`; None if nothing was."""
        content = self._read(RECORDS, key)
        return None if content is None else json.loads(content)

    def remember(self, key: str, record: dict[str, Any]) -> None:
        self._write(RECORDS, key, json.dumps(record).encode())

    def state(self, key: str) -> dict[str, Any] | None:
        """The contents of the state after the epoch of `key`, on the CPU; None if not kept."""
        content = self._read(STATES, key)
        if content is None:
            return None
        import torch

        contents: dict[str, Any] = torch.load(
            io.BytesIO(content), map_location="cpu", weights_only=True
        )
        return contents

    def keep(self, key: str, contents: dict[str, Any]) -> bool:
        """Whether the state is there now."""
        import torch

        buffer = io.BytesIO()
        torch.save(contents, buffer)
        self._unweighed += buffer.tell()
        return self._write(STATES, key, buffer.getvalue())

    def trim(self) -> None:
        """Keep to `state_bytes`, if enough was written since the last time."""
        if self.state_bytes is not None and self._unweighed > self.state_bytes / 20:
            collect(self, self.state_bytes)
            self._unweighed = 0

    def drop(self, key: str) -> None:
        """Forget the state of `key`, not its record."""
        self.remove(entry_path(STATES, key))

    def entries(self, kind: str) -> Iterator[fs.FileInfo]:
        """The files of `kind`, RECORDS or STATES, a folder at a time."""
        for prefix in range(256):
            yield from self._folder(kind, prefix)

    def _folder(self, kind: str, prefix: int) -> list[fs.FileInfo]:
        folder = fs.FileSelector(f"{kind}/{prefix:02x}", allow_not_found=True)
        return self.files.get_file_info(folder)

    def damaged(self, kind: str) -> list[str]:
        """The files of `kind` that are not as they were written.

        Read by several processes to a core, since a disk has the next file ready only if asked.
        """
        with get_context("spawn").Pool(4 * (os.cpu_count() or 1)) as pool:
            found = pool.imap(partial(_damaged, self.place, kind), range(256))
            return [path for paths in found for path in paths]

    def sweep(self) -> None:
        """Remove what killed processes have left unfinished."""
        before = datetime.now(UTC) - timedelta(hours=1)
        for entry in self.files.get_file_info(fs.FileSelector(_UNFINISHED, allow_not_found=True)):
            if entry.mtime is not None and entry.mtime < before:
                self.remove(entry.path)

    def is_whole(self, path: str) -> bool:
        """Whether the file of an entry is as it was written, if it still is there."""
        try:
            with self.files.open_input_file(path) as file:
                return _content(file.read()) is not None
        except FileNotFoundError:  # collected meanwhile
            return True

    def _read(self, kind: str, key: str) -> bytes | None:
        path = entry_path(kind, key)
        try:
            with self.files.open_input_file(path) as file:
                content = _content(file.read())
        except FileNotFoundError:
            return None
        except OSError as error:
            _LOG.warning("%s in store %s cannot be read (%s)", path, self.place, one_line(error))
            return None
        if content is None:
            _LOG.warning("%s in store %s is damaged; it is made anew", path, self.place)
            self.remove(path)
        return content

    def _write(self, kind: str, key: str, content: bytes) -> bool:
        path = entry_path(kind, key)
        unfinished = f"{_UNFINISHED}/{uuid.uuid4().hex}"
        try:
            if self.has(kind, key):
                return True
            self.files.create_dir(_UNFINISHED, recursive=True)
            self.files.create_dir(path.rpartition("/")[0], recursive=True)
            with self.files.open_output_stream(unfinished) as file:
                file.write(_head(content) + b"\n")
                file.write(content)
            self.files.move(unfinished, path)
        except OSError as error:
            if not self._complained:
                _LOG.warning(
                    "store %s cannot be written (%s); epochs are trained without it until it can",
                    self.place, one_line(error),
                )  # fmt: skip
            self._complained = True
            self.remove(unfinished)
            return False
        return True

    def remove(self, path: str) -> None:
        """The file at `path`, if there is one."""
        with suppress(OSError):  # another process was quicker, or it was never there
            self.files.delete_file(path)


def existing(place: str) -> EpochStore:
    """The store at `place`; InputError if there is none."""
    if "://" not in place and not Path(place, RECORDS).is_dir():
        raise InputError(f"{place!r} is not an epoch store; give the folder that --store named")
    return EpochStore(place)


def in_bytes(megabytes: float | None) -> int | None:
    """Of the states that may stay; None if there is no limit. InputError if it is no size."""
    if megabytes is not None and not 0 <= megabytes < math.inf:
        raise InputError(f"state_megabytes={megabytes} is no size; give 0 or more")
    return None if megabytes is None else int(megabytes * 1e6)


def collect(store: EpochStore, budget: int) -> tuple[int, int]:
    """Drop states until the rest takes `budget` bytes: how many, and their bytes.

    Those of the earliest epochs go first. What was never finished, for an hour, goes as well.
    """
    states = []
    for entry in store.entries(STATES):
        record = store.record(entry.base_name)
        states.append((record["epoch"] if record else 0, entry.base_name, entry.size))
    excess = sum(size for *_, size in states) - budget
    dropped = freed = 0
    for _, key, size in sorted(states):
        if freed >= excess:
            break
        store.drop(key)
        dropped, freed = dropped + 1, freed + size
    store.sweep()
    return dropped, freed


def _damaged(place: str, kind: str, prefix: int) -> list[str]:
    store = EpochStore(place)
    paths = (entry.path for entry in store._folder(kind, prefix))
    return [path for path in paths if not store.is_whole(path)]


def entry_path(kind: str, key: str) -> str:
    """Where the entry of `kind` and `key` lies in a store."""
    return f"{kind}/{key[:2]}/{key}"


def _content(file: bytes) -> bytes | None:
    """What follows the first line; None if that is not its hash."""
    head, _, content = file.partition(b"\n")
    return content if head == _head(content) else None


def _head(content: bytes) -> bytes:
    return _MAGIC + hashlib.sha256(content).hexdigest().encode()
