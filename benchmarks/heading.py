"""What a benchmark was run on."""

from growsearch.study.results import environment


def heading(detail: str) -> str:
    """Processor, `detail` of its use, and torch's version."""
    made = environment()
    return f"{made['hardware']['processor']}, {detail}, torch {made['versions']['torch']}"
