"""A copy of a folder's files on another file system, which follows the folder."""

import os
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from pyarrow import fs

from growsearch.machine.files import UNFINISHED, is_file_name, opened, replacing

PAUSES = (0.5, 1.0, 2.0)
"""Seconds before a server that fails while files are brought is asked again."""
_PART = 2**20
_T = TypeVar("_T")


class Changed(NamedTuple):
    """Content, size and time of a file that has changed since it was last copied."""

    content: bytes
    stamp: tuple[int, int]


def content(path: Path) -> bytes:
    """What a file holds. Raises OSError if it is a link or no file."""
    with opened(path) as file:
        return file.read()


class Mirror:
    """Files of `folder`, by the same names in the folder `base` of `files`.

    A file there is whole: it gets its name when all of it is there. `read` gives the bytes to copy
    of a file. Methods raise OSError if `files` or the folder fails.
    """

    def __init__(
        self, folder: Path, files: fs.FileSystem, base: str = "",
        read: Callable[[Path], bytes] = content,
    ) -> None:  # fmt: skip
        self.folder, self.read = folder, read
        self.files = fs.SubTreeFileSystem(base, files) if base else files
        inner, root = self.files, ""
        while isinstance(inner, fs.SubTreeFileSystem):
            inner, root = inner.base_fs, inner.base_path + root
        self._is_local = isinstance(inner, fs.LocalFileSystem)
        self._root = Path(root or "/")
        """The folder `base`, if it is on this machine's disks."""
        self._stamps: dict[str, tuple[int, int]] = {}
        """The size and the time of each file here when it was last copied."""

    @property
    def copied(self) -> frozenset[str]:
        """The names of the files that are there, as far as this mirror has copied them."""
        return frozenset(self._stamps)

    def update(self, names: Iterable[str]) -> None:
        """Copies the files of these names that have changed, in this order."""
        for name in names:
            if (changed := self.changed(name)) is not None:
                self.write(name, changed)

    def changed(self, name: str) -> Changed | None:
        """What the file holds, if it has changed since it was copied and is still here."""
        path = self.folder / name
        try:
            stamp = _stamp(path)
            return None if self._stamps.get(name) == stamp else Changed(self.read(path), stamp)
        except FileNotFoundError:
            return None

    def write(self, name: str, changed: Changed) -> None:
        """Copies what `changed` has returned."""
        # what is at an address has its name when the stream is closed, and needs no folder
        place = name + UNFINISHED if self._is_local else name
        if self._is_local:
            self.files.create_dir(str(Path(name).parent), recursive=True)
        with self.files.open_output_stream(place) as stream:
            stream.write(changed.content)
        if self._is_local:
            self.files.move(place, name)
        self._stamps[name] = changed.stamp

    def remove(self, names: Iterable[str]) -> None:
        """Removes copied files; one may have been removed before."""
        for name in names:
            del self._stamps[name]
            _unlink(self.files, name)

    def remove_unfinished(self, folders: Collection[str]) -> None:
        """Removes what a process that was killed while it copied a file has left in `folders`."""
        if not self._is_local:
            return
        for folder in folders:
            for info in self.files.get_file_info(fs.FileSelector(folder, True, True)):
                if info.type == fs.FileType.File and info.path.endswith(UNFINISHED):
                    _unlink(self.files, info.path)

    def bring(self, below: str = "", but: Collection[str] = ()) -> list[str]:
        """Copies to the folder what is there and not here, in the folder `below`.

        Returns names that are left out: growsearch gives no file such a name, and it may lead out
        of the folder, as links do. So are the names in `but`, and what is removed meanwhile.
        """
        left_out = []
        for name, size in _patiently(lambda: dict(self._there(below))).items():
            if name in but or name.endswith(UNFINISHED):
                continue
            if size is None or not all(map(is_file_name, name.split("/"))):
                left_out.append(name)
                continue
            path = self.folder / name
            try:
                if not path.exists():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    _patiently(partial(self._fetch, name, path))
                if path.stat().st_size == size:
                    self._stamps[name] = _stamp(path)
            except FileNotFoundError:
                continue
        return left_out

    def _there(self, below: str) -> Iterator[tuple[str, int | None]]:
        """Name and size of each file in the folder `below` there; a link has no size."""
        if not self._is_local:
            for info in self.files.get_file_info(fs.FileSelector(below, True, True)):
                if info.type == fs.FileType.File:
                    yield info.path, info.size
            return
        for place, folders, names in os.walk(self._root / below):
            for name in (*folders, *names):
                path = Path(place, name)
                found, relative = path.lstat(), str(path.relative_to(self._root))
                if stat.S_ISREG(found.st_mode):
                    yield relative, found.st_size
                elif not stat.S_ISDIR(found.st_mode):
                    yield relative, None

    def _fetch(self, name: str, path: Path) -> None:
        if self._is_local:
            opened(self._root / name).close()  # OSError for what hardly has a byte on disk
        with (
            self.files.open_input_stream(name) as stream,
            replacing(path) as unfinished,
            unfinished.open("wb") as file,
        ):
            while part := stream.read(_PART):
                file.write(part)


def _stamp(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_size, found.st_mtime_ns


def _unlink(files: fs.FileSystem, name: str) -> None:
    with suppress(FileNotFoundError):
        files.delete_file(name)


def _patiently(work: Callable[[], _T]) -> _T:
    """What `work` returns, which is tried again after each of PAUSES. Raises the last OSError."""
    for pause in PAUSES:
        try:
            return work()
        except FileNotFoundError:
            raise
        except OSError:
            time.sleep(pause)
    return work()
