"""The terminal: it shows names, paths and other text as they are, and none of it as a command."""

from typing import Any

from rich.console import Console
from rich.text import Text


def printable(text: str) -> str:
    r"""`text` with each character that a terminal would obey as a Python escape, ESC as \x1b."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text
    )


class PlainConsole(Console):
    """A rich console without markup, so that `[b]` in the name of a folder stays there."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)
