"""The command `growsearch replay`: schedulers compared on recorded trials, in simulated time."""

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from growsearch.cli.options import add_json_option, add_paid_option, add_plugin_option
from growsearch.study.as_json import print_json
from growsearch.trial.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from growsearch.searches.recorded import Recording
    from growsearch.tuning.replays import ContenderResult, Spread

# --help must answer at once: nothing heavy is imported here.

USUAL = (
    "none", "none,order=cheapest", "branches", "pareto", "pareto,racing=3", "asha", "median",
    "halving", "rank-median", "mo-asha", "mo-asha-shipped", "oracle", "oracle,order=cheapest",
)  # fmt: skip
"""Optuna's samplers are not among them: they take a hundred times as long."""


def add_command(commands: Any) -> None:
    """Adds the command's parser to `commands`."""
    parser = commands.add_parser(
        "replay", help="compare schedulers on a study's trials, in simulated time"
    )
    parser.set_defaults(run=replay)
    parser.add_argument("study", help="the folder of a search whose trials all ran to their end")
    parser.add_argument(
        "--schedulers", nargs="+", default=USUAL, metavar="NAME[,OPTION=X]",
        help="which ones, with options, like pareto,racing=3; sampler=tpe and order=cheapest go "
        "with any. Besides those of a search there are halving, rank-median, mo-asha and "
        "mo-asha-shipped, and oracle, which knows how trials will end "
        f"(default: {' '.join(USUAL)})",
    )  # fmt: skip
    parser.add_argument(
        "--workers", nargs="+", type=int, default=[1, 4], metavar="N",
        help="trials at a time (default: 1 4)",
    )  # fmt: skip
    parser.add_argument(
        "--seeds", type=int, default=30, metavar="N",
        help="in how many random orders the trials start (default: 30)",
    )  # fmt: skip
    parser.add_argument(
        "--cost", help="the cost of the front (growsearch list cost; default: the study's first)"
    )
    parser.add_argument("--metric", help="the metric of the front (default: the study's)")
    add_paid_option(parser)
    parser.add_argument(
        "--unshared", action="store_true", help="train epochs that trials share once for each"
    )
    parser.add_argument(
        "--figure", metavar="FILE", help="write hypervolume against what was paid, for the first "
        "number of workers, as PNG, PDF or SVG",
    )  # fmt: skip
    add_json_option(parser)
    add_plugin_option(parser)


def replay(parsed: argparse.Namespace) -> int:
    from growsearch.searches.recorded import read_recording
    from growsearch.study.console import PlainConsole
    from growsearch.tuning.replays import compare, contender

    for name, least in (("seeds", parsed.seeds), ("workers", min(parsed.workers))):
        if least < 1:
            raise InputError(f"{name}={least} is less than 1; give 1 or more")
    for text in parsed.schedulers:
        contender(text)
    if parsed.figure is not None:
        _check_figure(parsed.figure)
    recording = read_recording(parsed.study, parsed.cost, parsed.metric, parsed.paid)
    console, found = PlainConsole(stderr=True), []
    with console.status("") as status:
        for workers in parsed.workers:
            for text in parsed.schedulers:
                status.update(f"{text}, {workers} at a time")
                found.append(
                    compare(
                        recording, text, workers=workers, seeds=range(parsed.seeds),
                        shared=not parsed.unshared,
                    )
                )  # fmt: skip
    if parsed.json:
        about = {
            "cost": recording.cost, "metric": recording.metric.name, "paid_in": recording.unit,
            "seeds": parsed.seeds, **_facts(recording),
        }  # fmt: skip
        print_json(about | {"schedulers": [one.to_dict() for one in found]})
    else:
        _show(parsed, recording, found)
    if parsed.figure is not None:
        _draw(parsed, recording, found)
    return 0


def _check_figure(file: str) -> None:
    if not file.endswith((".png", ".pdf", ".svg")):
        raise InputError(f"figure {file!r} has no known ending; give .png, .pdf or .svg")
    if not Path(file).parent.is_dir():
        raise InputError(f"figure {file!r} is in a folder that does not exist; make it first")


def _show(
    parsed: argparse.Namespace, recording: "Recording", found: "list[ContenderResult]"
) -> None:
    from growsearch.study.console import PlainConsole

    console, facts = PlainConsole(), _facts(recording)
    if not console.is_terminal:
        console.width = 120
    console.print(
        f"{facts['trials']} trials, {facts['front']} on the front of {recording.cost} and "
        f"{recording.metric.name}; "
        f"their distinct epochs cost {facts['distinct_percent']:.1f} % of all without sharing, "
        f"those of the front {facts['front_percent']:.1f} %",
        highlight=False,
    )
    for workers in parsed.workers:
        console.print(_table(workers, [one for one in found if one.workers == workers]))
    console.print(
        f"Paid: {recording.unit}, in percent of all trials without sharing, until the completed "
        f"trials have that share of the whole front's hypervolume; medians over {parsed.seeds} "
        "orders, and the range without a twentieth at each end. Lost: trials of the front that "
        "never completed, the mean over orders. None lost: in how many orders. Decision: the mean, "
        "and what one in a hundred exceeds.",
        style="dim", highlight=False,
    )  # fmt: skip


def _facts(recording: "Recording") -> dict[str, Any]:
    whole = recording.to_pay(shared=False)
    return {
        "trials": len(recording.trials),
        "front": len(recording.front),
        "distinct_percent": 100 * recording.to_pay() / whole,
        "front_percent": 100 * recording.to_pay(recording.front) / whole,
    }


def _draw(
    parsed: argparse.Namespace, recording: "Recording", found: "list[ContenderResult]"
) -> None:
    from growsearch.stopping.cost import cost_of
    from growsearch.study.figures import label_of
    from growsearch.study.replay_figure import replay_figure

    workers = parsed.workers[0]
    curves = {one.scheduler: one.curve for one in found if one.workers == workers}
    title = f"{recording.cost} and {recording.metric.name}, {workers} at a time"
    unit = label_of(cost_of(recording.unit).result())
    replay_figure(curves, unit, title).savefig(parsed.figure, dpi=150)


def _table(workers: int, found: "list[ContenderResult]") -> "Table":
    from rich.table import Table

    from growsearch.stopping.hypervolume import SHARES

    table = Table(title=f"{workers} at a time")
    table.add_column("scheduler")
    for share in SHARES:
        table.add_column(f"paid to\n{share:.0%}", justify="right")
    for name in ("paid to\nthe end", "lost", "none\nlost", "decision\nms"):
        table.add_column(name, justify="right")
    for one in found:
        table.add_row(
            one.scheduler.replace(",", " "), *map(_paid, one.paid_to), _paid(one.paid),
            f"{one.front_lost:.1f} %", f"{one.lossless:.0f} %",
            f"{one.decision_ms:.2f}\n{one.slowest_ms:.1f}",
        )  # fmt: skip
    return table


def _paid(spread: "Spread") -> str:
    numbers = map(_number, (spread.lowest, spread.highest))
    return f"{_number(spread.median)}\n{' to '.join(numbers)}"


def _number(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.1f}"
