"""The command line: growsearch train | search | check-task | report ..."""

import argparse
import atexit
import difflib
import logging
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from growsearch import __version__
from growsearch.checks.target import find_target, targets_in
from growsearch.cli import (
    asking,
    compare,
    doctor,
    replay,
    report,
    reproduce,
    search,
    stored,
    take_out,
    trial,
)
from growsearch.study.as_json import json_alone
from growsearch.trial.errors import InputError, drop_output
from growsearch.trial.plugins import check_registers, load_plugins

# --help must answer at once: nothing heavy is imported here.
_LONGEST, _ENDING = 600, 300
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
        command = _commands(self)[parsed.command]
        known = [o for action in command._actions for o in action.option_strings]
        near = difflib.get_close_matches(unknown[0].partition("=")[0], known, n=1, cutoff=0.7)
        meant = f"; did you mean {near[0]}?" if near else ""
        return command.error(f"unrecognized arguments: {' '.join(unknown)}{meant}")

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {_one_line(message)} (see {self.prog} --help)\n")


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return dict(commands.choices)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns 0 if it worked, 1 if a trial failed, 2 for an error in what was
    asked, 128 + n if signal n ended it: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP.
    """
    from growsearch.machine.ending import ended_by_signals

    with ended_by_signals(within=_LAST_SECONDS) as ending:
        try:
            code = _main(arguments)
            if ending.raised and code != INTERRUPTED:
                raise KeyboardInterrupt  # the first one was lost
        except KeyboardInterrupt:
            given = (sys.argv[1:] if arguments is None else arguments)[:1]
            print(" ".join(["growsearch", *given]) + f": {ending.name}", file=sys.stderr)
            code = INTERRUPTED
        if code != INTERRUPTED:
            return code
        # Ray's end at exit takes a second, and another Ctrl-C would print its trace
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
        exec("")  # an interrupt within an exec of text, though caught: Python kills itself at exit
        return ending.exit_code


def _printable(record: logging.LogRecord) -> bool:
    """Escapes in a warning what a terminal would obey: it may have a stranger's name of a file."""
    from growsearch.study.console import printable

    record.msg, record.args = printable(record.getMessage()), None
    return True


def _main(arguments: list[str] | None) -> int:
    logging.getLogger("growsearch").addFilter(_printable)
    try:
        # a plugin's options are the command line's, so it is loaded before the parser is made
        given = sys.argv[1:] if arguments is None else arguments
        plugins = load_plugins(_plugin_names(given))
        if given[:1] == ["check-task"]:
            for target in targets_in(given[1:]):
                find_target(target)
        else:
            for plugin in plugins:
                check_registers(plugin)
        parser = _parser()
    except InputError as error:
        print(f"growsearch: error: {_one_line(str(error))}", file=sys.stderr)
        return 2
    parsed = parser.parse_args(arguments)
    parsed.plugins = plugins
    try:
        command: Callable[[argparse.Namespace], int] = parsed.run
        with json_alone(getattr(parsed, "json", False)):
            return command(parsed)
    except InputError as error:
        print(f"growsearch {parsed.command}: error: {_one_line(str(error))}", file=sys.stderr)
        return 2
    except Exception as error:
        return _lost(parsed.command, error)


def _lost(command: str, error: Exception) -> int:
    """The exit code where output cannot be written; raises any other error again."""
    if isinstance(error, BrokenPipeError):
        drop_output()
        return 0
    from growsearch.machine.files import of_disk, storage_error

    lost = storage_error(error)
    if lost is None or not isinstance(error, OSError | RuntimeError):  # torch raises the latter
        raise error
    said = (
        f"a file cannot be read or written ({of_disk(lost)}); make room, or give a place that is "
        "there and can be written"
    )
    print(f"growsearch {command}: error: {_short(said)}", file=sys.stderr)
    return 1


def _one_line(message: str) -> str:
    """The message on one line, short, and without what a terminal would obey."""
    from growsearch.study.console import printable

    return _short(printable(message).replace("\n", "\\n"))


def _short(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST - _ENDING]} ... {text[-_ENDING:]}"  # the remedy is at the end


def _plugin_names(arguments: list[str]) -> list[str]:
    """What --plugin names, for a command that has this option.

    What another option of growsearch's own should have as its value is no such option; of a
    plugin's options nothing is known yet.
    """
    if not any(argument.partition("=")[0] == "--plugin" for argument in arguments):
        return []
    command = _commands(_parser()).get(arguments[0])
    options = [a for a in command._actions if a.option_strings] if command else []
    if not any("--plugin" in action.option_strings for action in options):
        return []
    before = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for action in options:
        if action.nargs == 0:
            before.add_argument(*action.option_strings, action="store_true")
        else:
            before.add_argument(*action.option_strings, nargs=action.nargs, action="append")
    try:
        names: list[str] = before.parse_known_args(arguments)[0].plugin or []
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

    trial.add_command(commands)
    search.add_commands(commands)
    asking.add_commands(commands)
    doctor.add_command(commands)
    stored.add_commands(commands)
    report.add_commands(commands)
    compare.add_command(commands)
    take_out.add_commands(commands)
    replay.add_command(commands)
    reproduce.add_command(commands)
    return parser
