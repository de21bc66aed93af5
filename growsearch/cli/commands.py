"""What the command line's commands do: each takes its parsed arguments and returns an exit code."""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from growsearch.cli.compare import compare as compare
from growsearch.cli.doctor import doctor as doctor
from growsearch.cli.documents import (
    Collected,
    Decoded,
    Listed,
    Planned,
    Recorded,
    Reported,
    Searched,
    Stored,
)
from growsearch.cli.options import choose_cluster
from growsearch.cli.replay import replay as replay
from growsearch.cli.reproduce import reproduce as reproduce
from growsearch.cli.take_out import best as best
from growsearch.cli.take_out import export as export
from growsearch.cli.take_out import predict as predict
from growsearch.study.as_json import plain, print_json
from growsearch.study.folder import STUDY_FILE
from growsearch.study.terminal import counted
from growsearch.trial.components import EVERY_KIND, component
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.trial_options import check_field, every_option

if TYPE_CHECKING:
    from growsearch.searches.trust import Trust
    from growsearch.study.report import Report
    from growsearch.tuning.tuner import SearchEnd

# Heavy imports are in the commands: train must not import ray.


def trial_options(parsed: argparse.Namespace) -> dict[str, Any]:
    """The trial options that were given."""
    given = vars(parsed)
    return {name: check_field(name, given[name]) for name in every_option() if name in given}


def _default_out(name: str) -> str:
    return f"runs/{name}-{datetime.now():%Y%m%d-%H%M%S}"


_LOCAL = ("store", "keep_states", "state_megabytes", "save_every")


def train(parsed: argparse.Namespace) -> int:
    config = TrialConfig(**trial_options(parsed))
    from growsearch.cli.train import begin

    options = {name: value for name, value in vars(parsed).items() if name in _LOCAL}
    out = parsed.out or _default_out("train")
    before = Path(out, STUDY_FILE).exists()  # which is refused, but may be interrupted before
    with _told_if_interrupted(parsed, None if before else out):
        reason = begin(config, out, options, parsed.plugins)
    return _ended(parsed, out, reason)


@contextmanager
def _told_if_interrupted(parsed: argparse.Namespace, out: str | None) -> Iterator[None]:
    """With --json, a signal within the block prints the document of what the trial has so far.

    `out` is None where the folder is another study's.
    """
    try:
        yield
    except KeyboardInterrupt:
        if parsed.json and _is_first():
            from growsearch.cli.train import interrupted_document

            print_json(interrupted_document(parsed.out if out is None else out, out is not None))
        raise


def _is_first() -> bool:
    """Whether this is the first of torchrun's processes."""
    return int(os.environ.get("RANK", 0)) == 0


def _ended(parsed: argparse.Namespace, out: str, reason: str | None) -> int:
    """The exit code of a trial that failed for a reason, which is said, or did not."""
    command = parsed.command
    if parsed.json and _is_first():
        from growsearch.cli.train import document

        print_json(document(out, reason))
    if reason is not None:
        print(f"growsearch {command}: failed: {reason}", file=sys.stderr)
    return int(reason is not None)


def search(parsed: argparse.Namespace) -> int:
    out = parsed.out or _default_out(Path(parsed.space).stem)
    overrides = trial_options(parsed)
    from growsearch.tuning.start import start_or_resume
    from growsearch.tuning.tuner import run_search

    choose_cluster(parsed)
    if parsed.resume and parsed.out is None:
        raise InputError("--resume goes on with the study of --out; give the folder by --out")
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
        return _resume_trial(parsed)
    from growsearch.tuning.tuner import resume_search

    choose_cluster(parsed)
    end = resume_search(
        parsed.study, parsed.extend, parsed.extend_horizon, _trust(parsed), **_settings(parsed)
    )
    return _show_end(parsed, parsed.study, end)


def _trust(parsed: argparse.Namespace) -> "Trust":
    """Whether a study may do what its user decides: as asked for, or as answered on a terminal."""
    return "trust" in parsed or (_agreed if sys.stdin.isatty() else False)


def _agreed(question: str) -> bool:
    print(f"growsearch resume: {question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _resume_trial(parsed: argparse.Namespace) -> int:
    for name, value in vars(parsed).items():
        if name not in ("command", "study", "plugins", "trust", "json") and value is not None:
            raise InputError(
                f"{name}={value} is of a search, and {parsed.study!r} is one trial, which goes on "
                "as it began; leave it out"
            )
    from growsearch.cli.train import resume as resume_trial

    with _told_if_interrupted(parsed, parsed.study):
        reason = resume_trial(parsed.study, _trust(parsed))
    return _ended(parsed, parsed.study, reason)


def _settings(parsed: argparse.Namespace) -> dict[str, Any]:
    """The search's settings that were given."""
    from growsearch.searches.settings import SearchSettings, search_options

    given = vars(parsed)
    names = [*(f.name for f in fields(SearchSettings)), *search_options()]
    return {name: given[name] for name in names if name in given}


def _show_end(parsed: argparse.Namespace, out: str, end: "SearchEnd") -> int:
    from growsearch.study.console import printable

    command = parsed.command
    for failure in end.failures:
        print(f"growsearch {command}: {printable(failure)}", file=sys.stderr)
    if end.unfinished:  # said first: what ends it may not wait for the report
        print(
            f"growsearch {command}: interrupted: {counted(end.unfinished, 'trial')} did not end; "
            f"go on with growsearch resume {out}",
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
            made = _write_report(out)
        except KeyboardInterrupt:
            print(
                f"growsearch {command}: the report is not written; growsearch report {out} does it",
                file=sys.stderr,
            )
            raise
    if parsed.json:
        print_json(
            Searched(
                study=str(out), outcomes=_outcomes(out), failures=end.failures,
                unfinished=end.unfinished,
                report=None if made is None else _report_document(out, made),
            )
        )  # fmt: skip
    elif made is not None:
        _show_report(made)
    if end.unfinished:
        return 130
    return 1 if end.failures else 0


def check_task(parsed: argparse.Namespace) -> int:
    from growsearch.cli.check_task import show_checks

    return show_checks(
        parsed.target, parsed.plugins, trial_options(parsed), parsed.search, parsed.json
    )


def plan(parsed: argparse.Namespace) -> int:
    from growsearch.searches.plan import plan_search
    from growsearch.tuning.search_space import draw_trials, load_spaces

    spaces = load_spaces(parsed.space, trial_options(parsed))
    planned = plan_search(draw_trials(spaces, parsed.trials, parsed.search_seed))
    if parsed.json:
        print_json(Planned(**vars(planned)))
        return 0
    trials, epochs = counted(planned.trials, "trial"), counted(planned.nominal, "epoch")
    print(f"{trials} of {epochs} in all")
    if planned.fewest == planned.most:
        times = planned.nominal / planned.most
        print(f"{planned.most:,} distinct: {times:.2f} times fewer with --store")
    else:
        print(
            f"{planned.fewest:,} to {planned.most:,} distinct: data decides what trials share "
            "after their first growth"
        )
    return 0


def store(parsed: argparse.Namespace) -> int:
    from growsearch.epochs.store import RECORDS, STATES, collect, existing, in_bytes

    remembered = existing(parsed.place)
    if parsed.action == "gc":
        most = in_bytes(parsed.state_megabytes) or 0
        dropped, size = collect(remembered, most)
        left = sum(entry.size for entry in remembered.entries(STATES))
        if parsed.json:
            print_json(Collected(place=parsed.place, removed=dropped, bytes=size, left=left))
        else:
            print(f"removed {counted(dropped, 'state')}, {size / 1e6:,.1f} MB")
        if left > most:
            print(
                f"growsearch store: {left / 1e6:,.1f} MB of states stay, more than were asked for: "
                f"they cannot be removed; see whether {parsed.place} can be written",
                file=sys.stderr,
            )
        return int(left > most)
    damaged, found = [], {}
    for kind in (RECORDS, STATES):
        count = size = 0
        for entry in remembered.entries(kind):
            count, size = count + 1, size + entry.size
        found[kind] = {"count": count, "bytes": size}
        if not parsed.json:
            print(f"{kind:<8} {count:>9,}  {size / 1e6:>11,.1f} MB", flush=True)
        if parsed.action == "verify":
            damaged += remembered.damaged(kind)
    if parsed.json:
        read = damaged if parsed.action == "verify" else None
        print_json(Stored(place=parsed.place, **found, damaged=read))
        return 1 if damaged else 0
    for path in damaged:
        print(f"damaged  {path}")
    return 1 if damaged else 0


def decode(parsed: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.progress import track

    from growsearch.tasks.images.decode import Decoding

    decoding, console = Decoding(parsed.data_dir, parsed.out), Console()
    with closing(iter(decoding)) as sizes:
        shown = track(
            sizes, "pictures", len(decoding),
            console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        size = sum(shown)
    if parsed.json:
        print_json(Decoded(out=parsed.out, pictures=len(decoding), bytes=size))
        return 0
    print(f"decoded {counted(len(decoding), 'picture')}, {size / 1e6:,.1f} MB: train on them with")
    print(f"growsearch train --dataset imagenet --data-dir {parsed.out}")
    return 0


def list(parsed: argparse.Namespace) -> int:
    """The command `growsearch list`."""
    from rich.console import Console

    from growsearch.cli.listing import component_page, component_rows, components_table

    kinds = [parsed.kind] if parsed.kind else EVERY_KIND
    if parsed.name is not None:
        component(parsed.kind, parsed.name)  # InputError if there is none
    if parsed.json:
        print_json(Listed(components=[r for k in kinds for r in component_rows(k, parsed.name)]))
        return 0
    console = Console()
    if not console.is_terminal:
        console.width = 100
    if parsed.name is not None:
        console.print(component_page(component(parsed.kind, parsed.name)), highlight=False)
        return 0
    for kind in kinds:
        console.print(components_table(kind))
    return 0


def report(parsed: argparse.Namespace) -> int:
    if parsed.watch:
        from growsearch.cli.watch import watch

        return watch(parsed)
    if "port" in parsed:
        raise InputError(f"port={parsed.port} is of --watch; give both or neither")
    made = _write_report(parsed.study, parsed.metric)
    if parsed.json:
        print_json(_report_document(parsed.study, made))
    else:
        _show_report(made)
    return 0


def record(parsed: argparse.Namespace) -> int:
    from growsearch.study.recording import record_study

    file = record_study(parsed.study, parsed.out)
    size = file.stat().st_size
    if parsed.json:
        print_json(Recorded(study=parsed.study, out=parsed.out, file=str(file), bytes=size))
        return 0
    print(f"recorded {parsed.study} in {parsed.out}, {size / 1e6:,.2f} MB")
    return 0


def _outcomes(study: str) -> dict[str, int]:
    """How many trials of a search have each status, those without an epoch included."""
    from growsearch.searches.ledger import Ledger

    return dict(Counter(status.value for status in Ledger(Path(study)).statuses().values()))


def _write_report(study: str, metric: str | None = None) -> "Report":
    from growsearch.study.report import write_report

    return write_report(study, metric)


def _report_document(study: str, made: "Report") -> Reported:
    return Reported(
        study=str(study), page=str(made.page), picture=str(made.picture), table=str(made.table),
        cost=made.cost.name, metric=made.metric.name, searched=made.searched,
        epochs=vars(made.epochs), front=plain(made.front),
        found=plain(made.found),
    )  # fmt: skip


def _show_report(made: "Report") -> None:
    from growsearch.study.console import PlainConsole
    from growsearch.study.terminal import found_table, front_table

    console = PlainConsole()
    if not console.is_terminal:
        console.width = 160  # a file or pipe has no width; rich's 80 columns would cut the table
    if len(made.front):
        console.print(front_table(made.front, made.searched, made.metric.column, made.cost.column))
    else:
        console.print("no trial has completed, so there is no front")
    if len(made.found):
        console.print(found_table(made.found))
    epochs = made.epochs
    if epochs.paid < epochs.nominal:
        console.print(
            f"epochs   {epochs.paid:,} trained of {epochs.nominal:,}: {epochs.merge_rate:.2f} "
            "times fewer parameter-epochs",
            highlight=False,
        )
    paths = {"report": made.page, "picture": made.picture, "table": made.table}
    for label, path in paths.items():
        console.print(f"{label:<8} {path}", highlight=False, soft_wrap=True)
