"""The command line: growsearch train | search | check-task | report ..."""

import argparse
import difflib
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from growsearch import __version__
from growsearch.checks.target import find_target, targets_in
from growsearch.cli import compare, doctor, replay, reproduce, take_out
from growsearch.cli.options import add_address_option, add_json_option, add_plugin_option
from growsearch.searches.settings import CHOSEN, KEPT, search_options
from growsearch.study.as_json import json_alone
from growsearch.trial.components import EVERY_KIND, KINDS, SEARCH_KINDS, components
from growsearch.trial.errors import InputError
from growsearch.trial.options import Option
from growsearch.trial.plugins import load_plugins
from growsearch.trial.trial_options import default_text, every_option, trial_options

# --help must answer at once: nothing heavy is imported here.
_LONGEST, _ENDING = 2000, 500
"""Characters of an error's message, and of those the last ones."""
_LAST_SECONDS = 25
"""How long a command may take to end after SIGTERM; Kubernetes kills after 30 seconds."""
INTERRUPTED = 130
"""What a command returns that Ctrl-C or another signal has ended."""


class _Parser(argparse.ArgumentParser):
    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments, allow_abbrev=False)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse, but an argument that its command does not take gets the nearest name."""
        parsed, unknown = self.parse_known_args(args, namespace)
        if not unknown:
            return parsed
        (commands,) = (a for a in self._actions if isinstance(a, argparse._SubParsersAction))
        command = commands.choices[parsed.command]
        known = [o for action in command._actions for o in action.option_strings]
        near = difflib.get_close_matches(unknown[0].partition("=")[0], known, n=1, cutoff=0.7)
        meant = f"; did you mean {near[0]}?" if near else ""
        return command.error(f"unrecognized arguments: {' '.join(unknown)}{meant}")

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {_short(message)} (see {self.prog} --help)\n")

    @property
    def taken(self) -> set[str]:
        """The names under which parsed arguments are found so far."""
        return {"command", "plugins", *(action.dest for action in self._actions)}


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns 0 if it worked, 1 if a trial failed, 2 for an error in what was
    asked, 128 + n if signal n ended it: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP.
    """
    from growsearch.machine.ending import ended_by_signals

    with ended_by_signals(within=_LAST_SECONDS) as ending:
        try:
            code = _main(arguments)
        except KeyboardInterrupt:
            given = (sys.argv[1:] if arguments is None else arguments)[:1]
            print(" ".join(["growsearch", *given]) + f": {ending.name}", file=sys.stderr)
            return ending.exit_code
        return ending.exit_code if code == INTERRUPTED else code


def _main(arguments: list[str] | None) -> int:
    try:
        # a plugin's options are the command line's, so it is loaded before the parser is made
        given = sys.argv[1:] if arguments is None else arguments
        plugins = load_plugins(_plugin_names(given))
        if given[:1] == ["check-task"]:
            for target in targets_in(given[1:]):
                find_target(target)
        parser = _parser()
    except InputError as error:
        print(f"growsearch: error: {_one_line(error)}", file=sys.stderr)
        return 2
    parsed = parser.parse_args(arguments)
    parsed.plugins = plugins
    try:
        from growsearch.cli import commands

        name = parsed.command.replace("-", "_")
        command: Callable[[argparse.Namespace], int] = getattr(commands, name)
        with json_alone(getattr(parsed, "json", False)):
            return command(parsed)
    except InputError as error:
        print(f"growsearch {parsed.command}: error: {_one_line(error)}", file=sys.stderr)
        return 2
    except Exception as error:
        return _lost(parsed.command, error)


def _lost(command: str, error: Exception) -> int:
    """The exit code where output cannot be written; raises any other error again."""
    if isinstance(error, BrokenPipeError):  # what read the output, like head, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    from growsearch.machine.files import of_disk, storage_error

    lost = storage_error(error)
    if lost is None or not isinstance(error, OSError | RuntimeError):  # torch raises the latter
        raise error
    print(
        f"growsearch {command}: error: a file cannot be read or written ({of_disk(lost)}); make "
        "room, or see whether it is there and can be written",
        file=sys.stderr,
    )
    return 1


def _one_line(error: InputError) -> str:
    """The message on one line, short, and without what a terminal would obey."""
    from growsearch.study.console import printable

    return _short(printable(str(error)).replace("\n", "\\n"))


def _short(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST - _ENDING]} ... {text[-_ENDING:]}"  # the remedy is at the end


def _plugin_names(arguments: list[str]) -> list[str]:
    before = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    before.add_argument("--plugin", action="append", default=[])
    try:
        names: list[str] = before.parse_known_args(arguments)[0].plugin
    except argparse.ArgumentError:  # the real parser says what is wrong
        return []
    return names


def _parser() -> argparse.ArgumentParser:
    """The parser of all commands.

    Raises InputError for a component's option that is named like an argument of a command; options
    of components are added after the others, so that these are known.
    """
    parser = _Parser(
        prog="growsearch",
        description="How should this network grow while it trains, and what does that buy?",
    )
    parser.add_argument("--version", action="version", version=f"growsearch {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    train = commands.add_parser("train", help="run one trial here and show each epoch")
    add_plugin_option(train)
    add_json_option(train)
    train.add_argument("--out", help="folder for the results (default: runs/train-<time>)")
    train.add_argument(
        "--save-every", type=int, metavar="N", default=argparse.SUPPRESS,
        help="keep the state of every N-th epoch as well",
    )  # fmt: skip
    _add_store_options(train, "nowhere")
    _add_trial_options(train, "trial options", show_defaults=True)

    search = commands.add_parser("search", help="run many trials on Ray Tune")
    search.add_argument("space", help="a built-in search space, like lipgrow, or a file")
    search.add_argument("--trials", type=int, metavar="N", help="how many trials, grid included")
    search.add_argument("--out", help="folder for the study (default: runs/<space>-<time>)")
    search.add_argument("--search-seed", type=int, default=0, metavar="N", help="draws the trials")
    search.add_argument(
        "--resume", action="store_true",
        help="go on with the search if --out has it already, so that one command can be repeated",
    )  # fmt: skip
    add_address_option(search)
    add_plugin_option(search)
    add_json_option(search)
    _add_store_options(search, "folder 'epochs' of the study; none: nowhere")
    _add_search_options(search)
    _add_trial_options(
        search, "trial options, the same for all trials whatever the search space says"
    )

    resume = commands.add_parser(
        "resume", help="continue a search, or a trial, that was interrupted"
    )
    resume.add_argument("study", help="the folder that --out named")
    add_address_option(resume)
    resume.add_argument(
        "--extend", type=int, metavar="N", help="how many trials to add, drawn from the same space"
    )
    resume.add_argument(
        "--extend-horizon", type=int, nargs="+", metavar="EPOCHS",
        help="add each configuration with so many epochs; with lr_schedule wsd or constant they "
        "train what is new only",
    )  # fmt: skip
    resume.add_argument(
        "--trust", action="store_true", default=argparse.SUPPRESS,
        help="run the plugins and the space file of the study, though this user's searches have "
        "not run them on this machine",
    )  # fmt: skip
    add_json_option(resume)
    _add_search_options(resume)

    check = commands.add_parser(
        "check-task", help="check a task of your own: model, batches, loss, growth, resuming"
    )
    check.add_argument(
        "target", nargs="?", metavar="FILE:CLASS",
        help="my_task.py:MyTask, a file with one task, or a name",
    )  # fmt: skip
    check.add_argument(
        "--search", action="store_true", help="also compare with a trial inside a search on Ray"
    )
    add_plugin_option(check)
    add_json_option(check)
    _add_trial_options(check, "trial options")

    doctor.add_command(commands)

    plan = commands.add_parser("plan", help="how many distinct epochs a search would train")
    plan.add_argument("space", help="a built-in search space, like lipgrow, or a file")
    add_plugin_option(plan)
    add_json_option(plan)
    plan.add_argument("--trials", type=int, metavar="N", help="how many trials, grid included")
    plan.add_argument("--search-seed", type=int, default=0, metavar="N", help="draws the trials")
    _add_trial_options(plan, "trial options, as in search")

    store = commands.add_parser("store", help="look after an epoch store")
    actions = store.add_subparsers(dest="action", required=True, metavar="action")
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

    decode = commands.add_parser(
        "decode", help="decode the pictures of a folder like ImageNet once, to train faster"
    )
    decode.add_argument("data_dir", help="the folder, with train/<class>/ and val/<class>/")
    decode.add_argument("out", help="folder for the decoded images, which is then the --data-dir")
    add_json_option(decode)

    listed = commands.add_parser(
        "list", help="the components that there are, their options, and where they are published"
    )
    listed.add_argument("kind", nargs="?", choices=EVERY_KIND, metavar="kind", help="one kind")
    listed.add_argument("name", nargs="?", help="one component of the kind, with its options")
    add_plugin_option(listed)
    add_json_option(listed)

    report = commands.add_parser("report", help="write the Pareto report of a study")
    report.add_argument("study", help="the folder that --out named")
    report.add_argument("--metric", help=f"{take_out.METRIC_HELP} (default: the study's)")
    report.add_argument(
        "--watch", action="store_true",
        help="serve the page on 127.0.0.1 and update it while the search runs, until Ctrl-C; it "
        "writes no file",
    )  # fmt: skip
    report.add_argument(
        "--port", type=int, metavar="N", default=argparse.SUPPRESS,
        help="the port of --watch (default: a free one)",
    )  # fmt: skip
    add_json_option(report)

    record = commands.add_parser(
        "record", help="copy a study's epochs, all trials in one small file, to keep or to ship"
    )
    record.add_argument("study", help="the folder that --out named")
    record.add_argument("out", help="folder for the copy; one that was recorded before is replaced")
    add_json_option(record)

    compare.add_command(commands)
    take_out.add_commands(commands)
    replay.add_command(commands)
    reproduce.add_command(commands)
    return parser


_MORE = {"metric": ", or a number of the task's own, like val_perplexity"}
"""What may be chosen besides the components of a kind."""
_SEARCH_OPTIONS = (
    ("--cpus-per-trial", int, "N", "cores, and threads (default: 1)"),
    ("--gpus-per-trial", float, "X", "GPUs, or a share of one (default: 1 if there are any)"),
    ("--max-concurrent", int, "N", "trials that run at a time (default: as many as fit)"),
    ("--max-failures", int, "N", "how often a trial continues after its process died (default: 2)"),
    ("--epoch-timeout", float, "SECONDS", "end a trial's process if an epoch takes longer"),
    ("--budget", str, "UNIT=X", "end the search after X trained param_epochs, flops or seconds, or "
     "X begun trials, like param_epochs=5e7"),
)  # fmt: skip


def _add_search_options(parser: _Parser) -> None:
    """Settings of a search; those not given are its defaults, or what it was started with."""
    group = parser.add_argument_group("how the search runs")
    for option, number, metavar, text in _SEARCH_OPTIONS:
        group.add_argument(
            option, type=number, metavar=metavar, default=argparse.SUPPRESS, help=text
        )
    for kind, about in SEARCH_KINDS.items():
        of_task = "" if kind in CHOSEN else "the task's, else "
        default = f"; default: {of_task}{about.default}" if about.default is not None else ""
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
        _add_component_options(parser, kind, rules, show_defaults=True)


def _add_store_options(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--store", metavar="PLACE", default=argparse.SUPPRESS,
        help="store epochs in this folder or at this address (s3://...). Searches that share it "
        f"train each distinct epoch once (default: {default})",
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


def _add_trial_options(parser: _Parser, title: str, show_defaults: bool = False) -> None:
    group = parser.add_argument_group(title)
    rules = every_option()
    for name in [*KINDS, *trial_options()]:
        _add_option(group, rules[name], show_defaults)
    for kind in KINDS:
        _add_component_options(parser, kind, rules, show_defaults)


def _add_component_options(
    parser: _Parser, kind: str, rules: dict[str, Option], show_defaults: bool
) -> None:
    """A group for the options of each component of the kind, or of several that share them."""
    known, taken = components(kind), parser.taken
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
