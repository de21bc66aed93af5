"""What must not happen while a stranger's file is read."""

import collections
import dataclasses
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import growsearch

FORBIDDEN = {
    "exec", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "subprocess.Popen",
    "socket.connect", "ctypes.dlopen", "pickle.find_class", "os.symlink", "os.link", "os.chmod",
}  # fmt: skip


class Watch:
    """Notes what code that reads files in `folder` does and must not do. No code can hide it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.seen = str(folder), list[str]()
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
            if writes and not path.startswith((self.folder, "/dev/null")):
                self.seen.append(f"writes {path!r}")


def _of_library(code: Any) -> bool:
    """Whether code is of an installed module that is first needed, or makes a class of names."""
    if code.co_filename == "<string>":
        maker = sys._getframe(2).f_code.co_filename  # of what runs it, above the hook
        return maker in (collections.__file__, dataclasses.__file__)
    own = str(Path(growsearch.__file__).parents[1])
    return "site-packages" in code.co_filename or code.co_filename.startswith(
        (sys.prefix, sys.base_prefix, "<frozen", own)
    )
