"""The command `growsearch train`, and `growsearch resume` of one trial."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from growsearch.cli.options import (
    add_json_option,
    add_plugin_option,
    add_store_options,
    add_trial_options,
    chosen_options,
    default_out,
)
from growsearch.study.as_json import print_json
from growsearch.study.folder import STUDY_FILE
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError

if TYPE_CHECKING:
    from growsearch.searches.trust import Trust

# --help must answer at once, and train must not import ray.
_LOCAL = ("store", "keep_states", "state_megabytes", "save_every")
_OF_EITHER = ("command", "run", "study", "plugins", "trust", "json")
"""What a parsed `resume` has for a search and for one trial."""


def add_command(commands: Any) -> None:
    """Adds the parser of `train` to `commands`."""
    parser = commands.add_parser("train", help="run one trial here and show each epoch")
    parser.set_defaults(run=train)
    add_plugin_option(parser)
    add_json_option(parser)
    parser.add_argument("--out", help="folder for the results (default: runs/train-<time>)")
    parser.add_argument(
        "--save-every", type=int, metavar="N", default=argparse.SUPPRESS,
        help="keep the state of every N-th epoch as well",
    )  # fmt: skip
    add_store_options(parser, "nowhere")
    add_trial_options(parser, "trial options", show_defaults=True)


def train(parsed: argparse.Namespace) -> int:
    config = TrialConfig(**chosen_options(parsed))
    from growsearch.cli.train import begin

    options = {name: value for name, value in vars(parsed).items() if name in _LOCAL}
    out = parsed.out or default_out("train")
    before = Path(out, STUDY_FILE).exists()  # which is refused, but may be interrupted before
    with _told_if_interrupted(parsed, None if before else out):
        reason = begin(config, out, options, parsed.plugins)
    return _ended(parsed, out, reason)


def resume_trial(parsed: argparse.Namespace, trust: "Trust") -> int:
    """Goes on with the trial of a study that `train` has made."""
    for name, value in vars(parsed).items():
        if name not in _OF_EITHER and value is not None:
            raise InputError(
                f"{name}={value} is of a search, and {parsed.study!r} is one trial, which goes on "
                "as it began; leave it out"
            )
    from growsearch.cli.train import resume

    with _told_if_interrupted(parsed, parsed.study):
        reason = resume(parsed.study, trust)
    return _ended(parsed, parsed.study, reason)


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


def _ended(parsed: argparse.Namespace, out: str, reason: str | None) -> int:
    """The exit code of a trial that failed for a reason, which is said, or did not."""
    command = parsed.command
    if parsed.json and _is_first():
        from growsearch.cli.train import document

        print_json(document(out, reason))
    if reason is not None:
        from growsearch.study.console import printable

        print(f"growsearch {command}: failed: {printable(reason)}", file=sys.stderr)
    return int(reason is not None)


def _is_first() -> bool:
    """Whether this is the first of torchrun's processes."""
    return int(os.environ.get("RANK", 0)) == 0
