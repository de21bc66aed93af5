"""The one error that is the user's to mend."""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path


class InputError(ValueError):
    """A value that cannot be used. Its message is one line: the value, the rule, the remedy.

    The command line prints it without a traceback and exits with code 2.
    """


def run_script(main: Callable[[], None]) -> None:
    """Run `main` of a script; an InputError, or a reader that has gone, ends it as a command."""
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:
        drop_output()
    except InputError as error:
        print(f"{Path(sys.argv[0]).name}: error: {one_line(error)}", file=sys.stderr)
        sys.exit(2)


def drop_output() -> None:
    """What read the output, like head, has read enough: the rest of it goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def one_line(error: BaseException) -> str:
    """What another program's error says, as part of a message of one line."""
    said = str(error)
    if isinstance(error, OSError) and error.strerror:  # without its number
        said = because(error)
        if error.filename is not None:
            said += f": {error.filename!r}"
    return " ".join(said.split()) or type(error).__name__


def because(error: OSError) -> str:
    """Why a file cannot be read or written, in a few words."""
    if error.errno == errno.ELOOP:
        return "it is a link"
    return error.strerror or one_line(error)


def counted(count: int, noun: str) -> str:
    """Like "1 trial" and "2 trials"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
