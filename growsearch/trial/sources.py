"""The source of a component that a script, module or notebook registers itself."""

import hashlib
import linecache
import sys
import sysconfig
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

_OURS = "growsearch"
_STANDARD = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib")})


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
    if cls.__module__.partition(".")[0] == _OURS:
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


@cache
def imported_digest(cls: type) -> str | None:
    """A hash of the user's own modules that the source of `cls` imports; None if there are none.

    Modules that these import count too, and those of base classes. Installed packages do not, nor
    do modules that are imported within a function.
    """
    texts: dict[str, str] = {}
    for base in cls.__mro__:
        module = sys.modules.get(base.__module__)
        if base is not cls and _is_users(module):
            _add_module(module, texts)
        for value in vars(base).values() if base.__module__.partition(".")[0] != _OURS else ():
            for function in _functions(value):
                _add_modules(function.__globals__, texts)
    texts.pop(cls.__module__, None)  # its hash is known: see source_of
    if not texts:
        return None
    return hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()[:16]


def _add_modules(names: dict[str, Any], texts: dict[str, str]) -> None:
    for value in list(names.values()):
        where = value.__name__ if isinstance(value, ModuleType) else _module_of(value)
        if where not in texts and where != "__main__" and _is_users(sys.modules.get(where)):
            _add_module(sys.modules[where], texts)


def _add_module(module: Any, texts: dict[str, str]) -> None:
    if module.__name__ not in texts:
        texts[module.__name__] = Path(module.__file__).read_text(encoding="utf-8")
        _add_modules(vars(module), texts)


def _module_of(value: Any) -> str:
    """Where a class or function was defined."""
    named = isinstance(value, type | FunctionType) and isinstance(value.__module__, str)
    return value.__module__ if named else ""


def _is_users(module: Any) -> bool:
    """Whether the module is a file of the user's, and no installed package."""
    file = getattr(module, "__file__", None)
    if not file or not file.endswith(".py") or module.__name__.partition(".")[0] == _OURS:
        return False
    installed = {"site-packages", "dist-packages"} & set(Path(file).parts)
    return not installed and not file.startswith(_STANDARD) and Path(file).is_file()


def _is_of(value: Any, module: str) -> bool:
    return getattr(value, "__module__", None) == module


def _codes(value: Any) -> Iterator[CodeType]:
    """The code of a function, or of a class's methods."""
    return (function.__code__ for function in _functions(value))


def _functions(value: Any) -> Iterator[FunctionType]:
    """A function, or a class's methods."""
    if isinstance(value, FunctionType):
        yield value
    elif isinstance(value, property):
        yield from _functions(value.fget)
    elif isinstance(value, staticmethod | classmethod):
        yield from _functions(value.__func__)
    elif isinstance(value, type):
        for member in vars(value).values():
            if not isinstance(member, type):
                yield from _functions(member)
