"""The source of a component that a script, module or notebook registers itself."""

import ast
import hashlib
import linecache
import sys
import sysconfig
import uuid
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec, resolve_name
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
        return hashed(self.text.encode())


def hashed(content: bytes) -> str:
    """The hash by which keys know a source."""
    return hashlib.sha256(content).hexdigest()[:16]


def source_of(cls: type) -> Source | None:
    """The source of `cls`; None if it is growsearch's own.

    Of a class from a file it is the whole file, of one from a notebook the cells that define it and
    what it uses of the notebook. What has no source, like a class of an interactive session, never
    equals another: its text is random.
    """
    module = sys.modules.get(cls.__module__)
    if cls.__module__.partition(".")[0] == _OURS:
        return None
    file = getattr(module, "__file__", None)
    if file and Path(file).is_file():
        alone = not getattr(module, "__package__", None)
        return Source(str(file), Path(file).read_text(encoding="utf-8"), alone)
    text = _cells(cls) or uuid.uuid4().hex
    return Source(f"the session that defines {cls.__qualname__}", text, is_file=False)


def _cells(cls: type) -> str:
    """The cells of a notebook that define `cls` and what its code names in the notebook.

    Of constants that it names, the values. Empty if a cell is not known.
    """
    files: dict[str, None] = {}
    constants: dict[str, str] = {}
    seen: dict[int, Any] = {}
    left: list[Any] = [base for base in cls.__mro__ if base.__module__ == cls.__module__]
    while left:
        value = left.pop(0)
        if id(value) in seen:
            continue
        seen[id(value)] = value
        for function in _functions(value):
            for code in _nested(function.__code__):
                if code.co_filename != _GENERATED:
                    files.setdefault(code.co_filename)
                for name in code.co_names:
                    named = function.__globals__.get(name)
                    if isinstance(named, type | FunctionType) and _is_of(named, cls.__module__):
                        left.append(named)
                    elif isinstance(named, str | int | float | tuple):
                        constants[name] = repr(named)
    cells = ["".join(linecache.getlines(name)) for name in files]
    if not cells or not all(cells):
        return ""
    return "\n".join([*cells, *(f"{name} = {v}" for name, v in sorted(constants.items()))])


_GENERATED = "<string>"
"""The file of methods that dataclasses write."""


def _nested(code: CodeType) -> Iterator[CodeType]:
    """The code, and that of functions within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


@cache
def imported_digest(cls: type) -> str | None:
    """A hash of the user's own modules that the source of `cls` imports; None if there are none.

    Modules that these import count too, and those of base classes, wherever a file imports them:
    within a function as well. Installed packages do not count.
    """
    texts: dict[str, str] = {}
    for base in cls.__mro__:
        module = sys.modules.get(base.__module__)
        if module is None or base.__module__.partition(".")[0] == _OURS:
            continue
        if base is not cls and _is_users(module):
            _add_module(module, texts)
        _add_files(_text_of(module), getattr(module, "__package__", None), texts)
        for value in vars(base).values():
            for function in _functions(value):
                _add_modules(function.__globals__, texts)
    own = texts.get(cls.__module__)
    if own is not None and hashed(own.encode()) == getattr(cls, "plugin", None):
        del texts[cls.__module__]  # keys have this hash already
    if not texts:
        return None
    return hashed(repr(sorted(texts.items())).encode())


def _add_modules(names: dict[str, Any], texts: dict[str, str]) -> None:
    """Adds the user's modules that are among these names, or have made what is."""
    for value in list(names.values()):
        where = value.__name__ if isinstance(value, ModuleType) else _module_of(value)
        if where not in texts and where != "__main__" and _is_users(sys.modules.get(where)):
            _add_module(sys.modules[where], texts)


def _add_module(module: Any, texts: dict[str, str]) -> None:
    if module.__name__ not in texts:
        texts[module.__name__] = Path(module.__file__).read_text(encoding="utf-8")
        _add_modules(vars(module), texts)
        _add_files(texts[module.__name__], module.__package__, texts)


def _text_of(module: ModuleType) -> str:
    return "".join(linecache.getlines(getattr(module, "__file__", None) or ""))


def _add_files(text: str, package: str | None, texts: dict[str, str]) -> None:
    """Adds the user's files that `text`, a module of `package`, imports. Nothing is imported."""
    for name in _imports(text, package):
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            inner = ".".join(parts[:end])
            file = None if inner in texts else file_of(parts[:end])
            if file is not None and _is_users_file(inner, str(file)):
                texts[inner] = file.read_text(encoding="utf-8")
                own = inner if file.name == "__init__.py" else inner.rpartition(".")[0]
                _add_files(texts[inner], own, texts)


def _imports(text: str, package: str | None) -> list[str]:
    """The names that a module's import statements may import modules by."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                try:
                    base = resolve_name("." * node.level + base, package or "")
                except ImportError:
                    continue
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return names


def file_of(parts: list[str]) -> Path | None:
    """The file of a module; None if it has none, like an attribute of one. Nothing is imported."""
    top, *rest = parts
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):  # a module that was made by hand
        return None
    if spec is None:
        return None
    file = Path(spec.origin) if spec.origin and spec.has_location else None
    folders = list(spec.submodule_search_locations or ())
    for part in rest:
        within = [Path(folder, part) for folder in folders]
        files = [f for w in within for f in (w / "__init__.py", w.with_suffix(".py"))]
        file = next((f for f in files if f.is_file()), None)
        folders = [str(w) for w in within if w.is_dir()]
        if file is None and not folders:
            return None
    return file


def _module_of(value: Any) -> str:
    """Where a class or function was defined."""
    named = isinstance(value, type | FunctionType) and isinstance(value.__module__, str)
    return value.__module__ if named else ""


def _is_users(module: Any) -> bool:
    """Whether the module is a file of the user's, and no installed package."""
    file = getattr(module, "__file__", None)
    return bool(file) and _is_users_file(module.__name__, str(file))


def _is_users_file(module: str, file: str) -> bool:
    if not file.endswith(".py") or module.partition(".")[0] == _OURS:
        return False
    installed = {"site-packages", "dist-packages"} & set(Path(file).parts)
    return not installed and not file.startswith(_STANDARD) and Path(file).is_file()


def _is_of(value: Any, module: str) -> bool:
    return getattr(value, "__module__", None) == module


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
