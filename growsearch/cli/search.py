"""The commands `growsearch search` and `growsearch resume`."""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from growsearch.cli.documents import Searched
from growsearch.cli.options import (
    add_address_option,
    add_component_options,
    add_json_option,
    add_plugin_option,
    add_store_options,
    add_trial_options,
    choose_cluster,
    chosen_options,
    default_out,
)
from growsearch.cli.report import report_document, show_report, write_report
from growsearch.cli.trial import resume_trial
from growsearch.searches.settings import CHOSEN, SearchSettings, search_options
from growsearch.study.as_json import print_json
from growsearch.study.folder import STUDY_FILE
from growsearch.trial.components import SEARCH_KINDS, components
from growsearch.trial.errors import InputError, counted

if TYPE_CHECKING:
    from growsearch.searches.trust import Trust
    from growsearch.tuning.running import SearchEnd

# --help must answer at once: nothing heavy is imported here.

_MORE = {"metric": ", or a number of the task's own, like val_perplexity"}
"""What may be chosen besides the components of a kind."""
_SEARCH_OPTIONS = (
    ("--cpus-per-trial", int, "N", "cores, and threads", " (default: 1)"),
    ("--gpus-per-trial", float, "X", "GPUs, or a share of one", " (default: 1 if there are any)"),
    ("--copy-to", str, "PLACE", "keep a copy of the study, without its store, in this folder or at "
     "this address (s3://...)", "; with --resume the search goes on from there if --out is gone"),
    ("--max-concurrent", int, "N", "trials that run at a time", " (default: as many as fit)"),
    ("--max-failures", int, "N", "how often a trial continues after its process died",
     " (default: 2)"),
    ("--epoch-timeout", float, "SECONDS", "end a trial's process if an epoch takes longer", ""),
    ("--budget", str, "UNIT=X", "end the search after X trained param_epochs, flops, tokens, "
     "seconds or another summed cost, or after X begun trials, like param_epochs=5e7", ""),
)  # fmt: skip
"""Option, type and name of its value, help, and what the help says of a new search alone."""


def add_commands(commands: Any) -> None:
    """Adds the parsers of `search` and `resume` to `commands`."""
    parser = commands.add_parser("search", help="run many trials on Ray Tune")
    parser.set_defaults(run=search)
    parser.add_argument("space", help="a built-in search space, like lipgrow, or a file")
    parser.add_argument("--trials", type=int, metavar="N", help="how many trials, grid included")
    parser.add_argument("--out", help="folder for the study (default: runs/<space>-<time>)")
    parser.add_argument("--search-seed", type=int, default=0, metavar="N", help="draws the trials")
    parser.add_argument(
        "--resume", action="store_true",
        help="go on with the search if --out has it already, so that one command can be repeated",
    )  # fmt: skip
    add_address_option(parser)
    add_plugin_option(parser)
    add_json_option(parser)
    add_store_options(parser, "folder 'epochs' of the study; none: nowhere")
    _add_search_options(parser)
    add_trial_options(
        parser, "trial options, the same for all trials whatever the search space says"
    )

    parser = commands.add_parser(
        "resume", help="continue a search, or a trial, that was interrupted"
    )
    parser.set_defaults(run=resume)
    parser.add_argument("study", help="the folder that --out named")
    add_address_option(parser)
    parser.add_argument(
        "--extend", type=int, metavar="N", help="how many trials to add, drawn from the same space"
    )
    parser.add_argument(
        "--extend-horizon", type=int, nargs="+", metavar="EPOCHS",
        help="add each configuration with this number of epochs; under wsd or a constant rate they "
        "train what is new only",
    )  # fmt: skip
    parser.add_argument(
        "--trust", action="store_true", default=argparse.SUPPRESS,
        help="run the plugins and the space file of the study, though this user's searches have "
        "not run them on this machine",
    )  # fmt: skip
    add_json_option(parser)
    _add_search_options(parser, resumed=True)


def _add_search_options(parser: argparse.ArgumentParser, resumed: bool = False) -> None:
    """Settings of a search; those not given are its defaults, or what it was started with."""
    title = "how the search runs"
    group = parser.add_argument_group(f"{title} (default: as before)" if resumed else title)
    for option, number, metavar, text, of_new in _SEARCH_OPTIONS:
        group.add_argument(
            option, type=number, metavar=metavar, default=argparse.SUPPRESS,
            help=text if resumed else text + of_new,
        )  # fmt: skip
    for kind, about in SEARCH_KINDS.items():
        of_task = "" if kind in CHOSEN else "the task's, else "
        shown = about.default is not None and not resumed
        default = f"; default: {of_task}{about.default}" if shown else ""
        group.add_argument(
            f"--{kind}", nargs="+" if kind in ("cost", "log") else None,
            dest="costs" if kind == "cost" else kind, metavar="|".join(components(kind)),
            default=argparse.SUPPRESS,
            help=f"{about.help}{_MORE.get(kind, '')} (growsearch list {kind}{default})",
        )  # fmt: skip
    group.add_argument(
        "--from-scratch", action="store_true", default=argparse.SUPPRESS,
        help="for each network found by growing, add a trial that trains it from scratch",
    )  # fmt: skip
    rules = search_options()
    for kind in CHOSEN:
        add_component_options(parser, kind, rules, show_defaults=not resumed)


def search(parsed: argparse.Namespace) -> int:
    out = parsed.out or default_out(Path(parsed.space).stem)
    overrides = chosen_options(parsed)
    _say_first(out)
    from growsearch.tuning.start import start_or_resume
    from growsearch.tuning.tuner import run_search

    choose_cluster(parsed)
    if parsed.resume and parsed.out is None:
        raise InputError("--resume goes on with the study of --out; give the folder by --out")
    before = Path(out, STUDY_FILE).exists() and not parsed.resume  # which is refused
    with _told_how_to_go_on(parsed.command, None if before else out):
        end = (start_or_resume if parsed.resume else run_search)(
            parsed.space,
            out,
            overrides=overrides,
            trials=parsed.trials,
            search_seed=parsed.search_seed,
            plugins=[plugin.name for plugin in parsed.plugins],
            **_settings(parsed),
        )
    return _show_end(parsed, out, end)


def resume(parsed: argparse.Namespace) -> int:
    from growsearch.study.folder import read_info

    if read_info(parsed.study).get("command") == "train":
        return resume_trial(parsed, _trust(parsed))
    _say_first(parsed.study)
    from growsearch.tuning.tuner import resume_search

    choose_cluster(parsed)
    with _told_how_to_go_on(parsed.command, parsed.study):
        end = resume_search(
            parsed.study, parsed.extend, parsed.extend_horizon, _trust(parsed), **_settings(parsed)
        )
    return _show_end(parsed, parsed.study, end)


@contextmanager
def _told_how_to_go_on(command: str, out: str | None) -> Iterator[None]:
    """A search ends by the first Ctrl-C, and returns; another one within that is said here."""
    from growsearch.study.console import printable

    try:
        yield
    except KeyboardInterrupt:
        if out is not None and Path(out, STUDY_FILE).is_file():
            said = f"growsearch {command}: go on with growsearch resume {out}"
            print(printable(said), file=sys.stderr)
        raise


def _say_first(study: str) -> None:
    """Said at once: to import Ray and torch takes seconds."""
    from growsearch.study.console import printable

    print(f"study    {printable(study)}: loading Ray and the data", flush=True)


def _trust(parsed: argparse.Namespace) -> "Trust":
    """Whether a study may do what its user decides: as asked for, or as answered on a terminal."""
    return "trust" in parsed or (_agreed if sys.stdin.isatty() else False)


def _agreed(question: str) -> bool:
    from growsearch.study.console import printable

    print(f"growsearch resume: {printable(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _settings(parsed: argparse.Namespace) -> dict[str, Any]:
    """The search's settings that were given."""
    from growsearch.searches.settings import search_options

    given = vars(parsed)
    names = [*(f.name for f in fields(SearchSettings)), *search_options()]
    return {name: given[name] for name in names if name in given}


def _show_end(parsed: argparse.Namespace, out: str, end: "SearchEnd") -> int:
    from growsearch.study.console import printable
    from growsearch.study.copying import copy_report

    command = parsed.command
    for failure in end.failures:
        print(f"growsearch {command}: {printable(failure)}", file=sys.stderr)
    if end.unfinished:  # said first: what ends it may not wait for the report
        print(
            f"growsearch {command}: interrupted: {counted(end.unfinished, 'trial')} did not end; "
            f"go on with growsearch resume {printable(out)}",
            file=sys.stderr,
        )
    if not Path(out, STUDY_FILE).is_file():
        raise InputError(
            f"study {str(out)!r} was removed while it ran, so there is no report; restore what was "
            f"removed, and go on with growsearch resume {out}"
        )
    made = None
    if any(Path(out, "trials").glob("*.parquet")):
        try:
            made = write_report(out)
        except KeyboardInterrupt:
            print(
                f"growsearch {command}: the report is not written; growsearch report "
                f"{printable(out)} does it",
                file=sys.stderr,
            )
            raise
    if made is not None:
        copy_report(out, parsed.copy_to if "copy_to" in parsed else None)
    if parsed.json:
        print_json(
            Searched(
                study=str(out), outcomes=_outcomes(out), failures=end.failures,
                unfinished=end.unfinished,
                report=None if made is None else report_document(out, made),
            )
        )  # fmt: skip
    elif made is not None:
        show_report(made)
    if end.unfinished:
        return 130
    return 1 if end.failures else 0


def _outcomes(study: str) -> dict[str, int]:
    """How many trials of a search have each status, those without an epoch included."""
    from growsearch.searches.ledger import Ledger

    return dict(Counter(status.value for status in Ledger(Path(study)).statuses().values()))
