"""The source of a component that a script, module or notebook registers itself."""

import hashlib
import linecache
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple


class Source(NamedTuple):
    """Where a class was defined."""

    name: str
    """The file's path, or what the session is called."""
    text: str
    """All that may decide what the class does, as far as it is known."""
    is_file: bool
    """Whether `text` is a Python file that runs alone."""

    @property
    def digest(self) -> str:
        """A hash of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


def source_of(cls: type) -> Source | None:
    """The source of `cls`; None if it is growsearch's own.

    Of a class from a file it is the whole file, of one from a notebook all cells that define
    functions or classes. What has no source, like a class of an interactive session, never equals
    another: its text is random.
    """
    module = sys.modules.get(cls.__module__)
    if cls.__module__.partition(".")[0] == "growsearch":
        return None
    file = getattr(module, "__file__", None)
    if file and Path(file).is_file():
        alone = not getattr(module, "__package__", None)
        return Source(str(file), Path(file).read_text(encoding="utf-8"), alone)
    defined = [cls, *(v for v in list(vars(module or cls).values()) if _is_of(v, cls.__module__))]
    files = dict.fromkeys(code.co_filename for value in defined for code in _codes(value))
    cells = ["".join(linecache.getlines(name)) for name in files]
    text = "\n".join(cells) if cells and all(cells) else uuid.uuid4().hex
    return Source(f"the session that defines {cls.__qualname__}", text, is_file=False)


def _is_of(value: Any, module: str) -> bool:
    return getattr(value, "__module__", None) == module


def _codes(value: Any) -> Iterator[CodeType]:
    """The code of a function, or of a class's methods."""
    if isinstance(value, FunctionType):
        yield value.__code__
    elif isinstance(value, property):
        yield from _codes(value.fget)
    elif isinstance(value, staticmethod | classmethod):
        yield from _codes(value.__func__)
    elif isinstance(value, type):
        for member in vars(value).values():
            if not isinstance(member, type):
                yield from _codes(member)
