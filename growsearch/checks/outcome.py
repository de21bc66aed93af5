"""What a check of a task comes to."""

from dataclasses import dataclass
from enum import StrEnum


class CheckStatus(StrEnum):
    """What became of a check."""

    OK = "ok"
    WARNING = "warning"
    """It holds, and something beside it may be a mistake."""
    FAILED = "failed"
    INAPPLICABLE = "not applicable"
    UNCHECKED = "not checked"
    """A check failed on which this one builds."""


@dataclass(frozen=True)
class Row:
    """A check and what it found."""

    name: str
    status: CheckStatus
    said: str
    """One line."""


CLASS = ""
"""The method of faults that no method alone can be blamed for: the line is the class's."""


class Fault(Exception):
    """Something that must hold does not. The message names the tensor or the value.

    `method` is the method of the task whose line is named.
    """

    def __init__(self, message: str, method: str) -> None:
        super().__init__(message)
        self.method = method


class Inapplicable(Exception):
    """The check has no meaning for the task; the message says why."""


@dataclass(frozen=True)
class Held:
    """What a check that holds says."""

    said: str
    warning: bool = False
