"""The command line: growsearch train | search | report."""

import argparse
import sys
from collections.abc import Callable, Iterable
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from growsearch import __version__
from growsearch.config import TrialConfig, check_field
from growsearch.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

# Heavy imports are in the commands: --help must answer at once, and train must not import ray.


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns 0 if it worked, 1 if a trial failed, 2 for an error in what was
    asked, 130 if interrupted.
    """
    parsed = _parser().parse_args(arguments)
    try:
        command: Callable[[argparse.Namespace], int] = parsed.run
        return command(parsed)
    except InputError as error:
        print(f"growsearch {parsed.command}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"growsearch {parsed.command}: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="growsearch",
        description="How should this network grow while it trains, and what does that buy?",
    )
    parser.add_argument("--version", action="version", version=f"growsearch {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    train = commands.add_parser("train", help="run one trial here and show each epoch")
    _add_trial_options(train, "trial options", show_defaults=True)
    train.add_argument("--out", help="folder for the results (default: runs/train-<time>)")
    train.add_argument(
        "--save-every", type=int, metavar="N", help="keep the state of every N-th epoch as well"
    )
    train.set_defaults(run=_train)

    search = commands.add_parser("search", help="run many trials on Ray Tune")
    search.add_argument("space", help="a search-space file, like search_spaces/lipgrow.py")
    search.add_argument("--trials", type=int, metavar="N", help="how many trials, grid included")
    search.add_argument("--out", help="folder for the study (default: runs/<space>-<time>)")
    search.add_argument("--search-seed", type=int, default=0, metavar="N", help="draws the trials")
    search.add_argument("--cpus-per-trial", type=int, default=1, metavar="N", help="and threads")
    search.add_argument(
        "--gpus-per-trial", type=float, metavar="X", help="default: 1 where there are any"
    )
    search.add_argument("--max-concurrent", type=int, metavar="N", help="trials at one time")
    search.add_argument(
        "--from-scratch", action="store_true",
        help="add a trial from scratch for each network that a trial has grown to",
    )  # fmt: skip
    _add_trial_options(
        search, "trial options, the same for all trials whatever the search space says"
    )
    search.set_defaults(run=_search)

    report = commands.add_parser("report", help="write the Pareto report of a study")
    report.add_argument("study", help="the folder that --out named")
    report.set_defaults(run=_report)
    return parser


def _add_trial_options(
    parser: argparse.ArgumentParser, title: str, show_defaults: bool = False
) -> None:
    group = parser.add_argument_group(title)
    for spec in fields(TrialConfig):
        rule = spec.metadata
        text = rule["help"]
        default = rule.get("default", spec.default)
        if show_defaults and default is not None:
            text += f" (default: {default})"
        group.add_argument(
            f"--{spec.name.replace('_', '-')}",
            type=rule["kind"],
            nargs="+" if rule.get("many") else None,
            metavar="|".join(rule["choices"]) if "choices" in rule else rule["kind"].__name__,
            default=argparse.SUPPRESS,
            help=text,
        )


def _trial_options(parsed: argparse.Namespace) -> dict[str, Any]:
    """The trial options that were given."""
    given = vars(parsed)
    return {
        spec.name: check_field(spec.name, given[spec.name])
        for spec in fields(TrialConfig)
        if spec.name in given
    }


def _default_out(name: str) -> str:
    return f"runs/{name}-{datetime.now():%Y%m%d-%H%M%S}"


def _train(parsed: argparse.Namespace) -> int:
    config = TrialConfig(**_trial_options(parsed))
    from rich.console import Console

    from growsearch.results import create_study, write_trial
    from growsearch.terminal import EpochDisplay, trial_summary
    from growsearch.trainer import Trainer

    every = parsed.save_every
    if every is not None and every < 1:
        raise InputError(f"save_every={every} is no number of epochs; give 1 or more")
    trainer = Trainer(config)
    folder = create_study(
        parsed.out or _default_out("train"), command="train", searched=[], trials=1
    )
    if every:
        (folder / "states").mkdir()
    console = Console()
    _show_notes(console, config.notes)
    try:
        with EpochDisplay(console, config.epochs) as display:
            for record in trainer:
                write_trial(folder, config.digest, config, trainer.history)
                trainer.save(folder / "state.pt")
                if every and (record.epoch % every == 0 or trainer.finished):
                    trainer.save(folder / "states" / f"{record.epoch:05d}.pt")
                display.show(record, trainer.decision)
    finally:
        if trainer.history:
            console.print(f"\n{trial_summary(trainer.history)}", highlight=False, soft_wrap=True)
            console.print(f"results        {folder}", highlight=False, soft_wrap=True)
    return 0


def _show_notes(console: "Console", notes: Iterable[str]) -> None:
    for note in notes:
        console.print(f"note: {note}", style="yellow", highlight=False, soft_wrap=True)


def _search(parsed: argparse.Namespace) -> int:
    out = parsed.out or _default_out(Path(parsed.space).stem)
    overrides = _trial_options(parsed)
    from growsearch.tuning.tuner import run_search

    end = run_search(
        parsed.space,
        out,
        overrides=overrides,
        trials=parsed.trials,
        search_seed=parsed.search_seed,
        cpus_per_trial=parsed.cpus_per_trial,
        gpus_per_trial=parsed.gpus_per_trial,
        max_concurrent=parsed.max_concurrent,
        from_scratch=parsed.from_scratch,
    )
    for failure in end.failures:
        print(f"growsearch search: {failure}", file=sys.stderr)
    if any(Path(out, "trials").glob("*.parquet")):
        _show_report(out)
    if end.unfinished:
        print(
            f"growsearch search: interrupted: {end.unfinished} trials did not end; {out} has what "
            "was trained",
            file=sys.stderr,
        )
        return 130
    return 1 if end.failures else 0


def _report(parsed: argparse.Namespace) -> int:
    _show_report(parsed.study)
    return 0


def _show_report(study: str) -> None:
    from rich.console import Console

    from growsearch.report import write_report
    from growsearch.terminal import found_table, front_table

    report = write_report(study)
    console = Console()
    if not console.is_terminal:
        console.width = 160  # a file or pipe has no width; rich's 80 columns would cut the table
    if len(report.front):
        console.print(front_table(report.front, report.searched))
    else:
        console.print("no trial has completed, so there is no front")
    if len(report.found):
        console.print(found_table(report.found))
    paths = {"report": report.page, "picture": report.picture, "table": report.table}
    for label, path in paths.items():
        console.print(f"{label:<8} {path}", highlight=False, soft_wrap=True)
