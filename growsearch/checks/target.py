"""Which task a user means by `my_task.py:MyTask`, `my_task.py` or its name."""

import re
import sys
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from growsearch.trial.components import component, components, register, registering
from growsearch.trial.errors import InputError
from growsearch.trial.plugins import Plugin, find_plugin

_IN_FILE = re.compile(
    r"(?P<file>[^-].*\.py)(?::(?P<name>[\w-]+))?|(?P<module>\w[\w.]*):(?P<cls>[A-Za-z_]\w*)"
)


def file_and_name(target: str) -> tuple[str, str | None] | None:
    """The file or module, and the class's or task's name in it; None for a registered name."""
    found = _IN_FILE.fullmatch(target)
    if found is None:
        return None
    return found["file"] or found["module"], found["name"] or found["cls"]


def find_target(target: str) -> tuple[str, Plugin | None]:
    """The name of the task that `target` means, and the plugin that it is in, loaded.

    A class that is not registered is registered under its name in lower case. Raises InputError
    if there is no such task.
    """
    known = file_and_name(target)
    if known is None:
        return component("task", target).name, None
    file, name = known
    plugin = find_plugin(file)
    plugin.load()
    return name_in(plugin, name), plugin


def name_in(plugin: Plugin, name: str | None) -> str:
    """The name of the task in a plugin that is loaded; see find_target."""
    from growsearch.tasks.task import Task

    module = sys.modules.get(plugin.module_name)
    own = {c.name: c for c in components("task").values() if c.plugin == plugin.digest}
    classes = {
        cls.__name__: cls
        for cls in (vars(module).values() if module else own.values())
        if isinstance(cls, type) and issubclass(cls, Task) and cls.__module__ != Task.__module__
    }
    if name is None and len(classes) == 1:
        (name,) = classes
    if name in classes:
        return register_of(plugin.module_name, name) if module else str(classes[name].name)
    if name in own:
        return str(name)
    listed = ", ".join(classes) or "none; derive a class from growsearch.Task"
    what = (
        "several tasks" if name is None and classes else "no task" + (f" {name!r}" if name else "")
    )
    raise InputError(
        f"{plugin.name!r} has {what}; give {Path(plugin.name).name}:CLASS with one of its tasks "
        f"({listed})"
    )


def register_of(module: str, name: str) -> str:
    """The name of the task that is class `name` of a plugin, which is loaded as `module`.

    It is registered, under the class's name in lower case, if it is not yet.
    """
    digest = module.rpartition("_")[2]
    cls: Any = getattr(sys.modules[module], name)
    if cls not in components("task").values():
        with registering(digest):
            register("task", cls.__name__.lower())(cls)
    return str(cls.name)


def targets_in(arguments: Iterable[str]) -> list[str]:
    """The arguments of a command line that may be a target in a file."""
    pairs = pairwise(["", *arguments])
    return [a for before, a in pairs if before != "--plugin" and file_and_name(a) is not None]
