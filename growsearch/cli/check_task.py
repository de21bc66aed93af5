"""The command `growsearch check-task`."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table

from growsearch.checks.outcome import CheckStatus, Row
from growsearch.checks.run import BATCHES, check_task
from growsearch.checks.subject import EPOCHS, GROWTH
from growsearch.checks.target import find_target
from growsearch.cli.documents import Checked
from growsearch.study.as_json import print_json
from growsearch.trial.components import component
from growsearch.trial.errors import InputError
from growsearch.trial.plugins import Plugin

_STYLES = {
    CheckStatus.OK: "green",
    CheckStatus.WARNING: "yellow",
    CheckStatus.FAILED: "red",
    CheckStatus.INAPPLICABLE: "dim",
    CheckStatus.UNCHECKED: "dim",
}


def show_checks(
    target: str | None,
    plugins: list[Plugin],
    options: dict[str, Any],
    searched: bool,
    as_json: bool = False,
) -> int:
    """Check a task and print what holds; returns 0 if all of it does, or else 1."""
    name, own = _chosen(target, options)
    if own is not None and own not in plugins:
        plugins = [*plugins, own]
    console = Console()
    if not console.is_terminal:
        console.width = 120
    options = {n: v for n, v in options.items() if n != "task"}
    rows = []
    with console.status(f"checking task {name}") as status:
        for row in check_task(name, tuple(plugins), options, searched=searched):
            rows.append(row)
            status.update(f"checking task {name}: {row.name} {row.status}")
    count = Counter(row.status for row in rows)
    if as_json:
        print_json(
            Checked(
                task=name, checks=[vars(row) for row in rows], failed=count[CheckStatus.FAILED],
                warnings=count[CheckStatus.WARNING],
            )
        )  # fmt: skip
        return int(count[CheckStatus.FAILED] > 0)
    console.print(checks_table(name, rows), highlight=False)
    failed, warned = count[CheckStatus.FAILED], count[CheckStatus.WARNING]
    said = f"{failed} of {len(rows)} checks failed" if failed else f"all {len(rows)} checks hold"
    console.print(f"{said}, {warned} with a warning" if warned else said, highlight=False)
    return int(failed > 0)


def _chosen(target: str | None, options: dict[str, Any]) -> tuple[str, Plugin | None]:
    named = options.get("task")
    if target is None:
        if named is None:
            raise InputError("no task was given; give my_task.py:MyTask, or a name with --task")
        return component("task", named).name, None
    name, plugin = find_target(target)
    if named not in (None, name):
        raise InputError(f"{target!r} is task {name!r}, and --task says {named!r}; leave one out")
    return name, plugin


def checks_table(name: str, rows: Iterable[Row]) -> Table:
    """The checks, a row each."""
    table = Table(
        title=f"Task {name}: a trial of {EPOCHS} epochs that grows after epoch {GROWTH}, with at "
        f"most {BATCHES} batches of each split and epoch",
        title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0),
    )  # fmt: skip
    table.add_column("check", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("what was found")
    for row in rows:
        style = _STYLES[row.status]
        table.add_row(row.name, f"[{style}]{row.status}[/{style}]", _plain(row.said))
    return table


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
