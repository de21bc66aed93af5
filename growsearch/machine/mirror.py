"""A copy of a folder's files on another file system, which follows the folder."""

from collections.abc import Callable, Iterable
from pathlib import Path

from pyarrow import fs

from growsearch.machine.files import is_file_name, opened, replacing
from growsearch.trial.errors import InputError

UNFINISHED = ".unfinished"


def content(path: Path) -> bytes:
    with opened(path) as file:
        return file.read()


class Mirror:
    """Files of `folder`, by the same names in the folder `base` of `files`.

    A file there is whole: it gets its name when all of it is there. `read` gives the bytes of a
    file, at the time when they are copied. Methods raise OSError if `files` fails.
    """

    def __init__(
        self, folder: Path, files: fs.FileSystem, base: str = "",
        read: Callable[[Path], bytes] = content,
    ) -> None:  # fmt: skip
        self.folder = folder
        self.files = fs.SubTreeFileSystem(base, files) if base else files
        self.read = read
        self._copied: dict[str, tuple[int, int]] = {}
        """The size and the time of each file here when it was last copied."""

    def update(self, names: Iterable[str]) -> None:
        """Copies the files of these names that have changed, in this order."""
        for name in names:
            path = self.folder / name
            try:
                changed = _changed(path)
                if self._copied.get(name) == changed:
                    continue
                found = self.read(path)
            except FileNotFoundError:  # it is gone since it was listed
                continue
            self._write(name, found)
            self._copied[name] = changed

    @property
    def copied(self) -> frozenset[str]:
        """The names of the files that are there, as far as this mirror has copied them."""
        return frozenset(self._copied)

    def remove(self, names: Iterable[str]) -> None:
        """Removes copied files."""
        for name in names:
            self.files.delete_file(name)
            del self._copied[name]

    def remove_unfinished(self) -> None:
        """Removes what a process that was killed while it copied a file has left."""
        for info in self.files.get_file_info(fs.FileSelector("", True, True)):
            if info.type == fs.FileType.File and info.path.endswith(UNFINISHED):
                self.files.delete_file(info.path)

    def bring(self, below: str = "") -> None:
        """Copies to the folder what is there and not here, and has a name that begins so.

        Raises InputError for a name that leads out of the folder.
        """
        for info in self.files.get_file_info(fs.FileSelector(below, True, True)):
            name = info.path
            if info.type != fs.FileType.File or name.endswith(UNFINISHED):
                continue
            if not all(map(is_file_name, name.split("/"))):
                raise InputError(
                    f"{name[:100]!r} is no file that growsearch copies; remove it from the copy"
                )
            path = self.folder / name
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                with self.files.open_input_stream(name) as stream, replacing(path) as unfinished:
                    unfinished.write_bytes(stream.read())
            if path.stat().st_size == info.size:
                self._copied[name] = _changed(path)

    def _write(self, name: str, found: bytes) -> None:
        self.files.create_dir(str(Path(name).parent), recursive=True)
        # what is at an address has its name when the stream is closed
        local = self._is_local
        with self.files.open_output_stream(name + UNFINISHED if local else name) as stream:
            stream.write(found)
        if local:
            self.files.move(name + UNFINISHED, name)

    @property
    def _is_local(self) -> bool:
        files = self.files
        while isinstance(files, fs.SubTreeFileSystem):
            files = files.base_fs
        return isinstance(files, fs.LocalFileSystem)


def _changed(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_size, found.st_mtime_ns
