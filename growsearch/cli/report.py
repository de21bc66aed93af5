"""The commands `growsearch report` and `growsearch record`."""

import argparse
from typing import TYPE_CHECKING, Any

from growsearch.cli.documents import Recorded, Reported
from growsearch.cli.options import add_json_option
from growsearch.cli.take_out import METRIC_HELP
from growsearch.study.as_json import plain, print_json
from growsearch.trial.errors import InputError

if TYPE_CHECKING:
    from growsearch.study.report import WrittenReport

# --help must answer at once: nothing heavy is imported here.


def add_commands(commands: Any) -> None:
    """Adds the parsers of `report` and `record` to `commands`."""
    parser = commands.add_parser("report", help="write the Pareto report of a study")
    parser.set_defaults(run=report)
    parser.add_argument("study", help="the folder that --out named")
    parser.add_argument("--metric", help=f"{METRIC_HELP} (default: the study's)")
    parser.add_argument(
        "--watch", action="store_true",
        help="serve the page on 127.0.0.1 and update it while the search runs, until Ctrl-C; it "
        "writes no file",
    )  # fmt: skip
    parser.add_argument(
        "--port", type=int, metavar="N", default=argparse.SUPPRESS,
        help="the port of --watch (default: a free one)",
    )  # fmt: skip
    add_json_option(parser)

    parser = commands.add_parser(
        "record", help="copy a study's epochs, all trials in one small file, to keep or to ship"
    )
    parser.set_defaults(run=record)
    parser.add_argument("study", help="the folder that --out named")
    parser.add_argument("out", help="folder for the copy; one that was recorded before is replaced")
    add_json_option(parser)


def report(parsed: argparse.Namespace) -> int:
    if parsed.watch:
        from growsearch.cli.watch import watch

        return watch(parsed)
    if "port" in parsed:
        raise InputError(f"port={parsed.port} is of --watch; give both or neither")
    made = write_report(parsed.study, parsed.metric)
    if parsed.json:
        print_json(report_document(parsed.study, made))
    else:
        show_report(made)
    return 0


def record(parsed: argparse.Namespace) -> int:
    from growsearch.study.console import printable
    from growsearch.study.recording import record_study

    file = record_study(parsed.study, parsed.out)
    size = file.stat().st_size
    if parsed.json:
        print_json(Recorded(study=parsed.study, out=parsed.out, file=str(file), bytes=size))
        return 0
    print(printable(f"recorded {parsed.study} in {parsed.out}, {size / 1e6:,.2f} MB"))
    return 0


def write_report(study: str, metric: str | None = None) -> "WrittenReport":
    from growsearch.study.report import write_report

    return write_report(study, metric)


def report_document(study: str, made: "WrittenReport") -> Reported:
    return Reported(
        study=str(study), page=str(made.page),
        picture=None if made.picture is None else str(made.picture), table=str(made.table),
        cost=made.cost.name, metric=made.metric.name, searched=made.searched,
        epochs=vars(made.epochs), front=plain(made.front),
        found=plain(made.found),
    )  # fmt: skip


def show_report(made: "WrittenReport") -> None:
    from growsearch.study.console import PlainConsole
    from growsearch.study.terminal import found_table, front_table

    console = PlainConsole()
    if not console.is_terminal:
        console.width = 160  # a file or pipe has no width; rich's 80 columns would cut the table
    if len(made.front):
        shown = (made.front, made.searched, made.metric.column, made.cost.column)
        table = front_table(*shown)
        whole = console.measure(table, options=console.options.update(max_width=10_000))
        fits = whole.maximum <= console.width
        console.print(table if fits else front_table(*shown, together=True))
    else:
        console.print("no trial has completed, so there is no front")
    if len(made.found):
        console.print(found_table(made.found))
    epochs = made.epochs
    if epochs.paid < epochs.nominal:
        saved = f"{epochs.merge_rate:.2f} times fewer parameter-epochs"
        console.print(
            f"epochs   {epochs.paid:,} trained of {epochs.nominal:,}: "
            f"{saved if epochs.paid else 'all came from the epoch store'}",
            highlight=False,
        )
    paths = {"report": made.page, "picture": made.picture, "table": made.table}
    for label, path in paths.items():
        if path is not None:
            console.print(f"{label:<8} {path}", highlight=False, soft_wrap=True)
