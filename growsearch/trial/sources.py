"""The source of a component that a script, module or notebook registers itself."""

import ast
import hashlib
import linecache
import sys
import sysconfig
import uuid
from functools import lru_cache
from importlib.util import find_spec, resolve_name
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from growsearch.trial.uses import functions_of, uses_of
from growsearch.trial.value_texts import is_constant, text_of

PLUGIN_MODULE = "growsearch_plugin_"
"""How the names of modules begin that are made of plugins."""
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

    Of other values that it names, their texts. Empty if a cell is not known.
    """
    uses = uses_of(cls, _is_own)
    module = cls.__module__
    files = dict.fromkeys(f.__code__.co_filename for f in uses.functions if _is_of(f, module))
    cells = ["".join(linecache.getlines(name)) for name in files]
    if not cells or not all(cells):
        return ""
    return "\n".join([*cells, *sorted({f"{name} = {text_of(v)}" for name, v in uses.values})])


def present_digest(cls: Any) -> str:
    """The hash of the source of a component that is not growsearch's own, as it is now.

    Cells of a notebook may have been run again since it was registered.
    """
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    cells = "" if file and Path(file).is_file() else _cells(cls)
    return hashed(cells.encode()) if cells else str(cls.plugin)


def values_digest(cls: type) -> str | None:
    """A hash of the constants that the user's code of `cls` names; None if there are none.

    The text of a file does not say those that come from the command line or the environment.
    """
    values = uses_of(cls, _is_own).values
    texts = {f"{name} = {text_of(value)}" for name, value in values if is_constant(value)}
    return hashed(repr(sorted(texts)).encode()) if texts else None


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
            for function in functions_of(value):
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
        texts[module.__name__] = _read(module.__name__, Path(module.__file__))
        _add_modules(vars(module), texts)
        _add_files(texts[module.__name__], module.__package__, texts)


_READ: dict[str, tuple[Any, str]] = {}
"""Modules by name: what changes when one is reloaded, and the text that was read then."""


def _read(name: str, file: Path) -> str:
    """The text of a module as this process has it, though its file may have changed since."""
    loaded = getattr(sys.modules.get(name), "__spec__", None)
    known = _READ.get(name)
    if known is None or known[0] is not loaded:
        known = _READ[name] = loaded, file.read_text(encoding="utf-8")
    return known[1]


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
                texts[inner] = _read(inner, file)
                own = inner if file.name == "__init__.py" else inner.rpartition(".")[0]
                _add_files(texts[inner], own, texts)


@lru_cache(maxsize=256)
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


def _is_of(function: FunctionType, module: str) -> bool:
    return function.__globals__.get("__name__") == module


def _is_own(module: str) -> bool:
    """Whether the module is a session, a plugin, or a file of the user's."""
    if module == "__main__" or module.startswith(PLUGIN_MODULE):
        return True
    return _is_users(sys.modules.get(module))
