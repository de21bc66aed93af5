"""The command `growsearch compare`: studies beside each other."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from growsearch.cli.options import add_json_option, add_paid_option, add_plugin_option
from growsearch.study.as_json import print_json

if TYPE_CHECKING:
    from rich.console import Console

    from growsearch.comparing.words import Told

# --help must answer at once: nothing heavy is imported here.


def add_command(commands: Any) -> None:
    """Adds the command's parser to `commands`."""
    parser = commands.add_parser(
        "compare", help="studies beside each other: joint front, hypervolume, what it cost"
    )
    parser.set_defaults(run=compare)
    parser.add_argument("studies", nargs="+", metavar="study", help="the folders of two or more")
    parser.add_argument("--cost", help="the cost of the front (growsearch list cost)")
    parser.add_argument("--metric", help="the metric of the front (default: the studies')")
    add_paid_option(parser)
    parser.add_argument(
        "--out", metavar="FOLDER", help="write a page, a picture and the tables as CSV there"
    )
    parser.add_argument(
        "--force", action="store_true",
        help="compare studies of other data, splits, training sets, horizons or metrics, too",
    )  # fmt: skip
    add_json_option(parser)
    add_plugin_option(parser)


def compare(parsed: argparse.Namespace) -> int:
    from growsearch.comparing.comparison import compare_studies
    from growsearch.comparing.page import write_comparison
    from growsearch.comparing.words import told
    from growsearch.study.console import PlainConsole, printable

    found = compare_studies(
        parsed.studies, cost=parsed.cost, metric=parsed.metric, paid=parsed.paid,
        force=parsed.force,
    )  # fmt: skip
    written = None if parsed.out is None else write_comparison(found, parsed.out)
    for reason in found.differences:
        print(f"growsearch compare: {printable(reason)}", file=sys.stderr)
    if parsed.json:
        print_json(found.to_dict())
        return 0
    console = PlainConsole()
    for part in told(found):
        _show(console, part)
    if written is not None:
        for label, path in (("page", written.page), ("picture", written.picture)):
            if path is not None:
                console.print(f"{label:<8} {path}", highlight=False, soft_wrap=True)
        for path in written.tables:
            console.print(f"{'table':<8} {path}", highlight=False, soft_wrap=True)
    return 0


def _show(console: "Console", part: "Told") -> None:
    from rich.table import Table

    table = Table(
        title=part.title, title_justify="left", title_style="bold", box=None, pad_edge=False,
        padding=(0, 2, 0, 0), header_style="dim",
    )  # fmt: skip
    for number, name in enumerate(part.columns):
        if number == 0:
            table.add_column(name, overflow="fold")
        else:
            table.add_column(name, justify="right", no_wrap=True)
    for row in part.rows:
        table.add_row(*row)
    if part.rows:
        console.print(table)
    else:
        console.print(part.title, style="bold", highlight=False)
    for note in part.notes:
        console.print(note, style="dim", highlight=False)
    console.print()
