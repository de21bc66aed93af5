"""The command line."""

from growsearch.cli.parser import main

__all__ = ["main"]
