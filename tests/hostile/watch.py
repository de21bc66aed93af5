"""What must not happen while a stranger's file is read."""

import collections
import dataclasses
import hashlib
import os
import stat
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import growsearch

FORBIDDEN = {
    "exec", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "subprocess.Popen",
    "socket.connect", "ctypes.dlopen", "pickle.find_class", "os.symlink", "os.link", "os.chmod",
}  # fmt: skip

CHANGES = {
    "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.chown", "os.utime",
    "shutil.rmtree", "shutil.move", "shutil.copyfile", "shutil.copytree",
}  # fmt: skip
"""What is done to paths, which are the event's first arguments."""


def tree(folder: Path, but: Collection[str] = ()) -> dict[str, tuple[object, ...]]:
    """All that is in a folder: names, kinds, sizes and hashes of contents.

    C++ code raises no audit event when it changes files, but it changes this. `but` names what is
    left out of the folder itself.
    """
    found: dict[str, tuple[object, ...]] = {}
    for place, folders, names in os.walk(folder):
        if Path(place) == folder:
            folders[:] = [name for name in folders if name not in but]
            names = [name for name in names if name not in but]
        for name in (*folders, *names):
            path = Path(place, name)
            status = path.lstat()
            said: tuple[object, ...] = (stat.S_IFMT(status.st_mode),)
            if path.is_symlink():
                said += (os.readlink(path),)
            elif path.is_file():
                said += (status.st_size, hashlib.sha256(path.read_bytes()).hexdigest())
            found[str(path.relative_to(folder))] = said
    return found


def changes(before: dict[str, tuple[object, ...]], now: dict[str, tuple[object, ...]]) -> list[str]:
    """What of a `tree` is new, gone or other."""
    names = sorted(before.keys() | now.keys())
    return [f"changes {name!r}" for name in names if before.get(name) != now.get(name)]


class Watch:
    """Notes what code that may write in `folders` alone does and must not do."""

    def __init__(self, *folders: Path) -> None:
        self.folders, self.seen = folders, list[str]()
        self._on = False
        sys.addaudithook(self._audit)

    @contextmanager
    def watching(self) -> Iterator[list[str]]:
        """Gives the list of what is seen within the block."""
        self.seen, self._on = [], True
        try:
            yield self.seen
        finally:
            self._on = False

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on:
            return
        own = event == "exec" and _of_library(arguments[0])
        own |= event == "ctypes.dlopen" and str(arguments[0]).startswith(sys.prefix)
        if event in FORBIDDEN and not own:
            self.seen.append(f"{event} {arguments!r:.200}")
        if event == "open" and isinstance(arguments[0], str | bytes):
            path, flags = os.fsdecode(arguments[0]), arguments[2] or 0
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes and path != "/dev/null" and not self._may_change(path):
                self.seen.append(f"writes {path!r}")
        if event in CHANGES:
            for path in arguments[:2]:
                # a name within an open folder is relative: `tree` sees what comes of it
                named = isinstance(path, str | bytes) and os.path.isabs(path)
                if named and not self._may_change(os.fsdecode(path)):
                    self.seen.append(f"{event} {arguments!r:.200}")

    def _may_change(self, path: str) -> bool:
        there = Path(os.path.abspath(path))
        return any(there.is_relative_to(folder) for folder in self.folders)


def _of_library(code: Any) -> bool:
    """Whether code is of an installed module that is first needed, or makes a class of names."""
    if code.co_filename == "<string>":
        maker = sys._getframe(2).f_code.co_filename  # of what runs it, above the hook
        return maker in (collections.__file__, dataclasses.__file__)
    own = str(Path(growsearch.__file__).parents[1])
    return "site-packages" in code.co_filename or code.co_filename.startswith(
        (sys.prefix, sys.base_prefix, "<frozen", own)
    )
