"""The command `growsearch doctor`."""

import argparse
from collections import Counter
from typing import Any

from growsearch.cli.options import add_address_option, add_json_option, choose_cluster


def add_command(commands: Any) -> None:
    """Adds its parser."""
    parser = commands.add_parser(
        "doctor", help="is this machine, its storage and its cluster fit for a search?"
    )
    parser.set_defaults(run=doctor)
    parser.add_argument(
        "--out", default="runs", metavar="FOLDER", help="where studies go (default: runs)"
    )
    parser.add_argument(
        "--store", metavar="PLACE", help="the epoch store: a folder, or an address like s3://..."
    )
    parser.add_argument(
        "--copy-to", metavar="PLACE", help="where the copy of a study goes: a folder, or an address"
    )
    add_address_option(parser)
    add_json_option(parser)


def doctor(parsed: argparse.Namespace) -> int:
    """Prints each finding with its remedy; returns 1 if one failed, or else 0."""
    from growsearch.checks.outcome import CheckStatus
    from growsearch.cli.documents import Diagnosed
    from growsearch.doctor.run import diagnose
    from growsearch.study.as_json import print_json

    choose_cluster(parsed)
    rows = []
    for row in diagnose(parsed.out, parsed.store, parsed.copy_to):
        rows.append(row)
        if not parsed.json:
            _show(row)
    count = Counter(row.status for row in rows)
    failed, warned = count[CheckStatus.FAILED], count[CheckStatus.WARNING]
    if parsed.json:
        print_json(Diagnosed(found=[vars(row) for row in rows], failed=failed, warnings=warned))
        return int(failed > 0)
    said = f"{failed} of {len(rows)} failed" if failed else "nothing failed"
    print(f"{said}, {warned} with a warning" if warned else said)
    return int(failed > 0)


def _show(row: Any) -> None:
    """Prints a finding as soon as it is there: Ray's takes seconds."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from growsearch.study.console import printable

    console = Console()
    if not console.is_terminal:
        console.width = 120
    style = {"ok": "green", "warning": "yellow", "failed": "red"}[row.status]
    table = Table.grid(padding=(0, 1))
    for width in (16, 7, None):
        table.add_column(width=width)
    table.add_row(row.name, Text(str(row.status), style), Text(printable(row.said)))
    if row.remedy:
        table.add_row("", "", Text(printable(f"To do: {row.remedy}"), "bold"))
    console.print(table)
