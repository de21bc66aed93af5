"""What a look at the machine comes to."""

from dataclasses import dataclass

from growsearch.checks.outcome import CheckStatus


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    status: CheckStatus
    said: str
    """One line: what was found."""
    remedy: str = ""
    """One line: what to do; empty if all is well."""


def fine(name: str, said: str) -> Finding:
    return Finding(name, CheckStatus.OK, said)


def warning(name: str, said: str, remedy: str) -> Finding:
    return Finding(name, CheckStatus.WARNING, said, remedy)


def failed(name: str, said: str, remedy: str) -> Finding:
    return Finding(name, CheckStatus.FAILED, said, remedy)
