"""A task with few batches, so that checking it is quick."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from growsearch.tasks.task import Task
from growsearch.trial.components import component, register
from growsearch.trial.plugins import Plugin

if TYPE_CHECKING:
    from growsearch.machine.batches import Share


def limited_name(name: str) -> str:
    """Name of the copy of task `name` that has few batches."""
    return f"{name}-checked"


def limiting_plugin(name: str, batches: int) -> Plugin:
    """A plugin that registers the task `name` with few batches, to be loaded after its own."""
    cls = component("task", name)
    lines = ["from growsearch.checks.limited import register_limited"]
    module = f"growsearch_plugin_{cls.plugin}"
    if getattr(sys.modules.get(module), cls.__name__, None) is cls:
        lines += [  # the class may not register itself
            "from growsearch.checks.target import register_of",
            f"register_of({module!r}, {cls.__name__!r})",
        ]
    lines.append(f"register_limited({name!r}, {batches})")
    return Plugin("check-task", "\n".join(lines) + "\n")


def register_limited(name: str, most: int) -> None:
    """Registers the task `name` with at most `most` batches of each split and epoch."""
    base: Any = component("task", name)

    @dataclass(frozen=True, kw_only=True)
    class Limited(base):  # type: ignore[misc]
        __doc__ = base.__doc__

        def batches(self, split: str, seed: int, epoch: int) -> Iterable[Any]:
            return islice(super().batches(split, seed, epoch), most)

        def training_batches(self, epoch: int, share: "Share" = (0, 1)) -> Iterator[Any]:
            return islice(super().training_batches(epoch, share), most)

        def steps(self) -> int | None:
            known = super().steps()
            return known if known is None else min(known, most)

    Limited.__qualname__ = f"{base.__qualname__} with few batches"
    register("task", limited_name(name))(Limited)


def unlimited(task: Task) -> Any:
    """The task with all of its batches, and with the same options, trial and data."""
    original = type(task).__mro__[1]
    made = original(**task.values()).of(task.trial)
    return made.on(task.device)
