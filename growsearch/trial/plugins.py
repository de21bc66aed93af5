"""Components from a user's own files.

A plugin is a Python file, or a module by its name, that registers components. Its source travels
as text: to the actors of a search, on other nodes too, and into the study. The hash of the source
is in the keys of the epochs that depend on its components (epochs/keys.py). Packages that are
installed can register components by the entry-point group "growsearch".
"""

import linecache
import pickle
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from growsearch.trial.components import (
    Component,
    register,
    registered,
    registering,
    registers_itself,
)
from growsearch.trial.errors import InputError, one_line
from growsearch.trial.sources import (
    PLUGIN_MODULE,
    file_of,
    hashed,
    imported_digest,
    present_digest,
    source_of,
    values_digest,
)


@dataclass(frozen=True)
class Plugin:
    """The source of a plugin, which can be loaded anywhere."""

    name: str
    """The path or the module's name, as it was given."""
    source: str
    pickled: str = ""
    """The classes, pickled by value or by reference, as hexadecimal digits, where the source is no
    file that runs alone: of a notebook, or of a module in a package."""

    @property
    def digest(self) -> str:
        """A hash of the source."""
        return hashed(self.source.encode())

    @property
    def file_name(self) -> str:
        """What the study calls its copy."""
        stem = Path(self.name).stem if self.name.endswith(".py") else self.name
        return f"{stem}-{self.digest}.py"

    @property
    def module_name(self) -> str:
        """What its module is called in `sys.modules`, once it is loaded."""
        return f"{PLUGIN_MODULE}{self.digest}"

    def load(self) -> None:
        """Run the source, once in a process, which registers its components.

        Raises InputError for a source that does not run.
        """
        module_name = self.module_name
        if module_name in sys.modules or any(c.plugin == self.digest for c in registered()):
            return
        if self.pickled:
            self._unpickle()
            return
        module = ModuleType(module_name)
        # a file name of its own: tracebacks then show its lines, and inspect finds its source
        module.__file__ = f"<plugin {self.name} {self.digest}>"
        lines = self.source.splitlines(keepends=True)
        linecache.cache[module.__file__] = (len(self.source), None, lines, module.__file__)
        sys.modules[module_name] = module
        module.__package__ = self._package()
        try:
            with registering(self.digest):
                exec(compile(self.source, module.__file__, "exec"), module.__dict__)
        except (Exception, SystemExit) as error:  # the user's file may raise anything
            del sys.modules[module_name]
            if isinstance(error, InputError):
                raise InputError(f"plugin {self.name!r}: {error}") from error
            raise InputError(
                f"plugin {self.name!r} does not run{_line_of(error, module.__file__)}: "
                f"{type(error).__name__}: {one_line(error)}"
            ) from error

    def _package(self) -> str:
        """The package of a plugin that was given as a module, by which it imports relatively."""
        file = None if self.name.endswith(".py") else _file_of(self.name)
        if file is None or file.name == "__init__.py":
            return self.name if file else ""
        return self.name.rpartition(".")[0]

    def _unpickle(self) -> None:
        with registering(self.digest):
            for cls in pickle.loads(bytes.fromhex(self.pickled)):
                register(cls.kind, cls.name, source=cls.source)(cls)


def session_plugins() -> list[tuple[Plugin, list[type[Component]]]]:
    """The sources of components that scripts, modules or notebooks have registered themselves.

    Each comes with its components if its source is no file that runs alone, and they have to be
    pickled; otherwise without. A component of a notebook whose cells have changed gets the hash of
    the present ones. Raises InputError if a file has changed since it was imported.
    """
    found: dict[str, tuple[Plugin, list[type[Component]]]] = {}
    for cls in registered():
        source = source_of(cls) if registers_itself(cls) else None
        if source is None:
            continue
        if source.digest != cls.plugin and source.is_file:
            raise InputError(
                f"{source.name!r} was changed since {cls.kind} {cls.name!r} was imported from it; "
                "start Python again"
            )
        cls.plugin = source.digest
        known = found.setdefault(source.digest, (Plugin(source.name, source.text), []))
        if not source.is_file:
            known[1].append(cls)
    return list(found.values())


def code_hashes(chosen: Component) -> dict[str, str]:
    """Hashes of the source of a plugin's component, of the user's modules that it imports, and of
    the constants that its code names, by "plugin", "imports" and "values", whichever there are.
    """
    cls: Any = type(chosen)
    plugin = present_digest(cls) if registers_itself(cls) else cls.plugin
    found = {"plugin": plugin, "imports": imported_digest(cls), "values": values_digest(cls)}
    return {name: value for name, value in found.items() if value is not None}


def find_plugin(name: str) -> Plugin:
    """The plugin that is the file `name`, or the module of that name; InputError if none is."""
    path = Path(name)
    if name.endswith(".py") or path.is_file():
        try:
            return Plugin(name, path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"plugin {name!r} cannot be read ({one_line(error)}); give a Python file"
            ) from error
    found = _file_of(name)
    if found is None or found.suffix != ".py":
        raise InputError(
            f"plugin {name!r} is neither a file nor a module that can be imported; give a path "
            "that ends in .py, or install the module"
        )
    return Plugin(name, found.read_text(encoding="utf-8"))


def _file_of(name: str) -> Path | None:
    """The file of the module of that name; None if there is none. Nothing is imported."""
    parts = name.split(".")
    return file_of(parts) if all(parts) else None


def load_plugins(names: Iterable[str]) -> list[Plugin]:
    """Load the plugins of these names, in order; InputError for one that cannot be loaded."""
    plugins = [find_plugin(name) for name in names]
    for plugin in plugins:
        plugin.load()
    return plugins


def check_registers(plugin: Plugin) -> None:
    """InputError if a loaded plugin has components of its own and has registered none."""
    loaded = sys.modules.get(plugin.module_name)
    own = [
        cls
        for cls in (vars(loaded).values() if loaded else ())
        if isinstance(cls, type) and issubclass(cls, Component)
        and cls.__module__ == plugin.module_name
    ]  # fmt: skip
    if own and not any(cls.plugin == plugin.digest for cls in registered()):
        kind = getattr(own[0], "kind", None)
        raise InputError(
            f"plugin {plugin.name!r} registers no component; decorate {own[0].__name__} with "
            f"@register({kind!r}, NAME)"
        )


def _line_of(error: BaseException, file: str) -> str:
    """ " in line 7", if the error came from a line of the plugin."""
    line, trace = getattr(error, "lineno", None), error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" in line {line}" if line else ""
