"""What `growsearch list` shows: kinds, components, and one component with its options."""

import inspect
from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from growsearch.trial.components import EVERY_KIND, Component, components
from growsearch.trial.trial_options import default_text, flat


def components_table(kind: str) -> Table:
    """The components of a kind: name, summary, options and source."""
    about = EVERY_KIND[kind]
    table = Table(
        title=f"{kind}: {about.help}", title_justify="left", title_style="bold", box=None,
        pad_edge=False, padding=(0, 2, 0, 0), header_style="dim",
    )  # fmt: skip
    table.add_column("name", no_wrap=True)
    table.add_column("what it is", ratio=2)
    table.add_column("options", ratio=1, overflow="fold")
    table.add_column("source", ratio=1)
    for name, cls in components(kind).items():
        shown = f"{name} (plugin)" if cls.plugin else name
        table.add_row(shown, cls.summary(), ", ".join(cls.options()), cls.source)
    table.add_section()
    return table


def component_rows(kind: str, name: str | None = None) -> list[dict[str, Any]]:
    """The components of a kind, or the one of that name, for --json; see documents.Listed."""
    return [
        {
            "kind": kind, "name": cls.name, "help": inspect.cleandoc(cls.__doc__ or ""),
            "source": cls.source, "plugin": bool(cls.plugin),
            "options": [
                {
                    "name": option, "help": rule.help, "role": str(rule.role),
                    "default": default_text(option, rule), "choices": rule.choices,
                }
                for option, rule in cls.options().items()
            ],
        }
        for cls in components(kind).values()
        if name in (None, cls.name)
    ]  # fmt: skip


def component_page(cls: type[Component]) -> RenderableType:
    """A component: its docstring, its options with role and default, and its source."""
    parts: list[RenderableType] = [
        Text(f"{cls.kind} {cls.name}", "bold"), Text(inspect.cleandoc(cls.__doc__ or "")), Text()
    ]  # fmt: skip
    if options := cls.options():
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for column in ("option", "role", "default", "help"):
            table.add_column(column, no_wrap=column == "option")
        for name, rule in options.items():
            default = rule.default_help or ("" if rule.default is None else str(flat(rule.default)))
            shown = f"--{name.replace('_', '-')}"
            table.add_row(shown, str(rule.role), default, rule.help)
        parts += [table, Text()]
    proposals = getattr(cls, "proposals", None)
    if isinstance(proposals, Mapping) and proposals:  # a policy's depend on the trial
        named = ", ".join(f"{name}={flat(value)}" for name, value in proposals.items())
        parts.append(Text(f"proposes: {named}"))
    if cls.source:
        parts.append(Text(f"source: {cls.source}"))
    return Group(*parts)
