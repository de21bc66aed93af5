"""Where in the user's file something is: "my_task.py:39"."""

import inspect
import re
import sysconfig
from pathlib import Path
from types import TracebackType
from typing import Any

import growsearch

_OURS = str(Path(growsearch.__file__).parent)
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})
_PLUGIN = re.compile(r"<plugin (.+) [0-9a-f]{16}>")
"""The file names that Plugin.load gives modules."""


def where(file: str, line: int) -> str:
    """The place as a user knows it."""
    plugin = _PLUGIN.fullmatch(file)
    if plugin:
        return f"{plugin[1]}:{line}"
    path = Path(file)
    here = Path.cwd()
    return f"{path.relative_to(here) if path.is_relative_to(here) else path}:{line}"


def line_of(cls: type[Any], method: str) -> str | None:
    """The line where the class, or a base of it, defines the method or attribute.

    The class's own line if it has the method from growsearch's base class; None if nobody knows.
    """
    for base in cls.__mro__:
        if base.__module__.startswith("growsearch."):
            if base.__module__.startswith("growsearch.checks"):
                continue  # the class that limits the batches
            if not base.__module__.startswith(("growsearch.tasks.images", "growsearch.tasks.b")):
                break
        if method not in vars(base):
            continue
        found = vars(base)[method]
        code = getattr(inspect.unwrap(getattr(found, "fget", None) or found), "__code__", None)
        if code is not None:
            return where(code.co_filename, code.co_firstlineno)
    return _class_line(cls)


def _class_line(cls: type[Any]) -> str | None:
    for base in cls.__mro__:
        if not base.__module__.startswith("growsearch.checks"):
            try:
                line = inspect.getsourcelines(base)[1]
                file = inspect.getsourcefile(base)
            except (OSError, TypeError):
                return None
            return where(file, line) if file else None
    return None


def line_of_error(error: BaseException) -> str | None:
    """The last line of the user's own that the error came through; None if there is none."""
    found, trace = None, error.__traceback__
    while trace is not None:
        if _is_users(trace):
            found = where(trace.tb_frame.f_code.co_filename, trace.tb_lineno)
        trace = trace.tb_next
    return found


def _is_users(trace: TracebackType) -> bool:
    file = trace.tb_frame.f_code.co_filename
    if file.startswith("<"):
        return _PLUGIN.fullmatch(file) is not None
    return not file.startswith((_OURS, *_LIBRARIES))
