"""Options that several commands have."""

import argparse
import os
from datetime import datetime
from typing import Any

from growsearch.epochs import KEPT
from growsearch.trial.components import KINDS, components
from growsearch.trial.errors import InputError
from growsearch.trial.options import Option
from growsearch.trial.own_options import trial_options
from growsearch.trial.trial_options import check_field, default_text, every_option

# --help must answer at once: nothing heavy is imported here.


def add_plugin_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--plugin", action="append", metavar="FILE|MODULE", default=argparse.SUPPRESS,
        help="load components of your own, and offer their options here; may be given repeatedly",
    )  # fmt: skip


def add_json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document, and all else to stderr"
    )


def add_paid_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--paid", default="param_epochs", metavar="COST",
        help="what is counted of the epochs trained, like flops (default: param_epochs)",
    )  # fmt: skip


def add_address_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--address", metavar="HOST:PORT|auto", default=argparse.SUPPRESS,
        help="the Ray cluster to run on (default: RAY_ADDRESS, or else this machine)",
    )  # fmt: skip


def choose_cluster(parsed: argparse.Namespace) -> None:
    """Lets Ray find the cluster of --address, if that was given."""
    if "address" in parsed:
        os.environ["RAY_ADDRESS"] = parsed.address


def add_store_options(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--store", metavar="PLACE", default=argparse.SUPPRESS,
        help="store epochs in this folder or at this address (s3://...). Searches that share it "
        f"train each distinct epoch once; none: nowhere (default: {default})",
    )  # fmt: skip
    parser.add_argument(
        "--keep-states", choices=KEPT, metavar="|".join(KEPT), default=argparse.SUPPRESS,
        help="which states of the network stay in the store: all, those before growths and decays "
        "and the last, or only the last (default: forks)",
    )  # fmt: skip
    parser.add_argument(
        "--state-megabytes", type=float, metavar="X", default=argparse.SUPPRESS,
        help="the largest size of the stored states; those of the earliest epochs are removed "
        "first (default: no limit)",
    )  # fmt: skip


def add_trial_options(
    parser: argparse.ArgumentParser, title: str, show_defaults: bool = False
) -> None:
    group = parser.add_argument_group(title)
    rules = every_option()
    for name in [*KINDS, *trial_options()]:
        _add_option(group, rules[name], show_defaults)
    for kind in KINDS:
        add_component_options(parser, kind, rules, show_defaults)


def add_component_options(
    parser: argparse.ArgumentParser, kind: str, rules: dict[str, Option], show_defaults: bool
) -> None:
    """A group for the options of each component of the kind, or of several that share them."""
    known, taken = components(kind), _taken(parser)
    owners: dict[tuple[str, ...], list[Option]] = {}
    for name, rule in rules.items():
        users = tuple(user for user, cls in known.items() if name in cls.options())
        if users:
            owners.setdefault(users, []).append(rule)
    for users, options in owners.items():
        for rule in options:
            if rule.name in taken:
                raise InputError(
                    f"option {rule.name!r} of {kind} {users[0]!r} is named like an argument of "
                    f"{parser.prog}; rename it"
                )
        named = "any" if len(users) == len(known) else ", ".join(users)
        group = parser.add_argument_group(f"{kind} {named}")
        for rule in options:
            _add_option(group, rule, show_defaults)


def _add_option(group: argparse._ArgumentGroup, rule: Option, show_default: bool) -> None:
    text = rule.help
    if rule.name in KINDS:
        text += f" (growsearch list {rule.name})"
    default = default_text(rule.name, rule)
    if show_default and default is not None:
        text += f" (default: {default})"
    group.add_argument(
        f"--{rule.name.replace('_', '-')}",
        type=rule.number,
        nargs="+" if rule.many else None,
        metavar="|".join(rule.choices) if rule.choices is not None else _metavar(rule),
        default=argparse.SUPPRESS,
        help=text.replace("%", "%%"),
    )


def _metavar(rule: Option) -> str:
    return "epochs|share" if rule.shares else rule.kind.__name__


def _taken(parser: argparse.ArgumentParser) -> set[str]:
    """The names under which parsed arguments are found so far."""
    return {"command", "run", "plugins", *(action.dest for action in parser._actions)}


def chosen_options(parsed: argparse.Namespace) -> dict[str, Any]:
    """The trial options that were given."""
    given = vars(parsed)
    return {name: check_field(name, given[name]) for name in every_option() if name in given}


def default_out(name: str) -> str:
    """The folder of a study for which no --out was given."""
    return f"runs/{name}-{datetime.now():%Y%m%d-%H%M%S}"
