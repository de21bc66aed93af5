"""The heading of a benchmark: its hardware and versions."""

from growsearch.study.folder import environment


def heading(detail: str) -> str:
    """One line: the processor, `detail` (how it is used), and torch's version."""
    made = environment()
    return f"{made['hardware']['processor']}, {detail}, torch {made['versions']['torch']}"
