"""The command `growsearch reproduce`: a table or figure of a paper, beside ours."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from growsearch.cli.documents import Begun, Reproducible
from growsearch.cli.options import add_json_option
from growsearch.study.as_json import print_json
from growsearch.trial.errors import InputError

if TYPE_CHECKING:
    from growsearch.reproductions.running import Places

# --help must answer at once: nothing heavy is imported here.

ROOT = "runs/reproduce"
_TRAINING = ("store", "max_concurrent", "cpus_per_trial", "data_dir")
"""Options that training alone takes."""


def add_command(commands: Any) -> None:
    """Adds the command's parser to `commands`."""
    parser = commands.add_parser(
        "reproduce", help="a table or figure of the papers, beside ours, and whether they agree"
    )
    parser.set_defaults(run=reproduce)
    parser.add_argument("name", nargs="?", metavar="NAME", help="which one, like lipgrow-figure5")
    parser.add_argument("--list", action="store_true", dest="listed", help="the names there are")
    parser.add_argument(
        "--scale", choices=("small", "paper"), default="small",
        help="small: what two cores train in minutes; paper: the paper's setting (default: small)",
    )  # fmt: skip
    parser.add_argument(
        "--out", default=ROOT, metavar="DIR",
        help="folder for tables and figures, for studies that are trained and for the epochs that "
        f"they share (default: {ROOT})",
    )  # fmt: skip
    doing = parser.add_mutually_exclusive_group()
    doing.add_argument("--plan", action="store_true", help="print trials and epochs; train nothing")
    doing.add_argument(
        "--one-epoch", action="store_true",
        help="train one epoch of a trial of each group, over a few images of noise",
    )  # fmt: skip
    doing.add_argument(
        "--train", action="store_true", help="train what is missing, then compare; may be repeated"
    )
    doing.add_argument("--study", metavar="DIR", help="compare this study, wherever it is")
    add_json_option(parser)
    group = parser.add_argument_group("training (--train)")
    for option, kind, metavar, text in (
        ("--store", str, "PLACE", "where epochs are shared (default: folder 'epochs' of --out)"),
        ("--max-concurrent", int, "N", "trials that run at a time (default: as many as fit)"),
        ("--cpus-per-trial", int, "N", "cores, and threads (default: 1)"),
        ("--data-dir", str, "DIR", "folder with the data set's files"),
    ):
        group.add_argument(option, type=kind, metavar=metavar, default=argparse.SUPPRESS, help=text)


def reproduce(parsed: argparse.Namespace) -> int:
    """The command; 1 if a trial has no outcome."""
    from growsearch.reproductions.catalogue import definition, names

    if parsed.listed and parsed.json:
        known = {name: definition(name) for name in names()}
        print_json(
            [Reproducible(name=n, place=one.place, title=one.title) for n, one in known.items()]
        )
        return 0
    if parsed.listed:
        for name in names():
            found = definition(name)
            print(f"{name:<24} {found.place}: {found.title}")
        return 0
    if parsed.name is None:
        raise InputError(f"name a table or figure to reproduce: {', '.join(names())}")
    from growsearch.reproductions.running import Places

    places = Places(Path(parsed.out), parsed.name, definition(parsed.name), parsed.scale)
    options = {name: value for name, value in vars(parsed).items() if name in _TRAINING}
    if options and not parsed.train:
        given = next(iter(options)).replace("_", "-")
        raise InputError(f"--{given} is of training; give --train as well, or leave it out")
    if parsed.plan:
        return _plan(places, parsed.json)
    if parsed.one_epoch:
        return _one_epoch(places, parsed.json)
    return _compare(places, parsed, options)


def _plan(places: "Places", as_json: bool) -> int:
    from growsearch.reproductions.running import plan
    from growsearch.trial.errors import counted

    scale = places.definition.scale(places.scale_name)
    planned = plan(scale)
    if as_json:
        print_json(vars(planned) | {"from_scratch": places.definition.from_scratch})
        return 0
    print(f"{places.definition.place}, {places.scale_name}: {scale.note}")
    print(f"{counted(planned.trials, 'trial')} of at most {counted(planned.nominal, 'epoch')}")
    if planned.fewest == planned.most:
        print(f"{planned.most:,} distinct")
    else:
        print(f"{planned.fewest:,} to {planned.most:,} distinct: data decides what trials share")
    if places.definition.from_scratch:
        print("and a trial from scratch for each network that is found")
    return 0


def _one_epoch(places: "Places", as_json: bool) -> int:
    from growsearch.reproductions.running import first_epochs

    begun = []
    for group, row, record in first_epochs(places.definition.scale(places.scale_name)):
        begun.append(Begun(group=group, row=row, record=record.to_dict()))
        if not as_json:
            print(
                f"{group}, {row}: {record.architecture}, {record.parameters:,} parameters, loss "
                f"{record.train_loss:.3f}, {record.seconds:.1f} s"
            )
    if as_json:
        print_json(begun)
    return 0


def _compare(places: "Places", parsed: argparse.Namespace, options: dict[str, Any]) -> int:
    from growsearch.reproductions.running import reproduce as compared
    from growsearch.reproductions.running import train

    if parsed.train:
        train(places, **options)
    study = str(places.trained) if parsed.train else parsed.study
    comparison = compared(places, study)
    if parsed.json:
        print_json(comparison.to_dict())
    else:
        print(comparison.to_markdown())
        print(f"table and figure: {places.results}; study: {places.study(study)}")
    return int(comparison.missing is not None)
