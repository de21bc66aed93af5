"""The commands that look after data: `growsearch store`, `fetch` and `decode`."""

import argparse
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

from growsearch.cli.documents import Collected, Decoded, Fetched, Stored
from growsearch.cli.options import add_json_option
from growsearch.study.as_json import print_json
from growsearch.trial.errors import counted

if TYPE_CHECKING:
    from growsearch.epochs.store import EpochStore

# --help must answer at once: nothing heavy is imported here.


def add_commands(commands: Any) -> None:
    """Adds the parsers of these commands to `commands`."""
    parser = commands.add_parser("store", help="look after an epoch store")
    parser.set_defaults(run=store)
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")
    for action, text in (
        ("ls", "how many epochs it has, and their size"),
        ("verify", "read every file and name those that are damaged"),
        ("gc", "remove states, those of the earliest epochs first; records stay"),
    ):
        parser_of_action = actions.add_parser(action, help=text)
        parser_of_action.add_argument("place", help="what --store named")
        add_json_option(parser_of_action)
        if action == "gc":
            parser_of_action.add_argument(
                "--state-megabytes", type=float, required=True, metavar="X",
                help="the size of the states that stay",
            )  # fmt: skip

    parser = commands.add_parser("fetch", help="make a study from the copy that --copy-to kept")
    parser.set_defaults(run=fetch)
    parser.add_argument("place", help="what --copy-to named: a folder or an address (s3://...)")
    parser.add_argument("study", help="the new folder")
    add_json_option(parser)

    parser = commands.add_parser(
        "decode", help="decode the pictures of a folder like ImageNet once, to train faster"
    )
    parser.set_defaults(run=decode)
    parser.add_argument("data_dir", help="the folder, with train/<class>/ and val/<class>/")
    parser.add_argument("out", help="folder for the decoded images, which is then the --data-dir")
    add_json_option(parser)


def fetch(parsed: argparse.Namespace) -> int:
    from growsearch.study.console import printable
    from growsearch.study.copying import fetch_study

    fetch_study(parsed.place, parsed.study)
    if parsed.json:
        print_json(Fetched(study=parsed.study, place=parsed.place))
    else:
        print(printable(f"study    {parsed.study}, from {parsed.place}"))
    return 0


def store(parsed: argparse.Namespace) -> int:
    from growsearch.epochs.store import RECORDS, STATES, existing
    from growsearch.machine.file_systems import usable

    remembered = existing(parsed.place)
    if parsed.action == "gc":
        return _collect(parsed, remembered)
    damaged: list[str] = []
    found = {}
    for kind in (RECORDS, STATES):
        count = size = 0
        with usable(parsed.place, "store", "read"):
            for entry in remembered.entries(kind):
                count, size = count + 1, size + entry.size
        found[kind] = {"count": count, "bytes": size}
        if not parsed.json:
            print(f"{kind:<8} {count:>9,}  {size / 1e6:>11,.1f} MB", flush=True)
        if parsed.action == "verify":
            with usable(parsed.place, "store", "read"):
                damaged += remembered.damaged(kind)
    if parsed.json:
        read = damaged if parsed.action == "verify" else None
        print_json(Stored(place=parsed.place, **found, damaged=read))
        return 1 if damaged else 0
    for path in damaged:
        print(f"damaged  {path}")
    return 1 if damaged else 0


def _collect(parsed: argparse.Namespace, remembered: "EpochStore") -> int:
    from growsearch.epochs.store import STATES, collect, in_bytes
    from growsearch.machine.file_systems import usable
    from growsearch.study.console import printable

    most = in_bytes(parsed.state_megabytes) or 0
    with usable(parsed.place, "store", "read"):
        dropped, size = collect(remembered, most)
        left = sum(entry.size for entry in remembered.entries(STATES))
    if parsed.json:
        print_json(Collected(place=parsed.place, removed=dropped, bytes=size, left=left))
    else:
        print(f"removed {counted(dropped, 'state')}, {size / 1e6:,.1f} MB")
    if left > most:
        print(
            f"growsearch store: {left / 1e6:,.1f} MB of states stay, more than were asked for: "
            f"they cannot be removed; see whether {printable(parsed.place)} can be written",
            file=sys.stderr,
        )
    return int(left > most)


def decode(parsed: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.progress import track

    from growsearch.study.console import printable
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
    print(printable(f"growsearch train --dataset imagenet --data-dir {parsed.out}"))
    return 0
