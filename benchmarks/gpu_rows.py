"""The rows of benchmarks/gpu.py's table: what was looked at, and how it went."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch

from growsearch.trial.errors import one_line

OK, FAILED, SKIPPED, NOTE = "ok", "failed", "skipped", "note"
LONGEST = 300


@dataclass(frozen=True)
class Row:
    section: str
    what: str
    status: str
    """ok, failed, skipped, or note: something that the trainer has said meanwhile."""
    result: str
    """One line."""
    numbers: dict[str, float] = field(default_factory=dict)
    """Those that the line tells, by name; ratios, seconds, images a second."""

    def append_to(self, file: Path) -> None:
        with file.open("a") as lines:
            lines.write(json.dumps(asdict(self)) + "\n")


class Unequal(Exception):
    """What was to be equal is not."""


@dataclass(frozen=True)
class Bench:
    """Where a section runs, and where its rows go."""

    section: str
    device: torch.device
    file: Path

    @property
    def on_gpu(self) -> bool:
        return self.device.type == "cuda"

    def small(self, on_gpu: Any, on_cpu: Any) -> Any:
        """The one for a GPU, or the one for a processor, where all is small."""
        return on_gpu if self.on_gpu else on_cpu

    def tell(self, what: str, result: str, status: str = OK, **numbers: float) -> None:
        line = " ".join(result.split())[:LONGEST]
        Row(self.section, what, status, line, numbers).append_to(self.file)

    @contextmanager
    def look(self, what: str) -> Iterator[None]:
        """Whatever is raised within becomes a row; what comes after goes on."""
        try:
            yield
        except Unequal as error:
            self.tell(what, one_line(error), FAILED)
        except Exception as error:  # the next look may succeed
            self.tell(what, f"{type(error).__name__}: {one_line(error)}", FAILED)

    def ratios(
        self, what: str, own: Sequence[float], other: Sequence[float], images: int, note: str = ""
    ) -> None:
        """How many times as fast `own` is as `other`, by the seconds that each took in pairs."""
        found = [theirs / mine for mine, theirs in zip(own, other, strict=True)]
        middle, least, most = median(found), min(found), max(found)
        rates = images / median(own), images / median(other)
        self.tell(
            what,
            f"{middle:.3f} ({least:.3f} to {most:.3f}), {rates[0]:,.0f} and {rates[1]:,.0f} "
            f"images/s{note}",
            ratio=middle, least=least, most=most, own=rates[0], other=rates[1],
        )  # fmt: skip


class Notes(logging.Handler):
    """What the package, or torch, warns of, each once."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(logging.WARNING)
        self.bench, self.seen = bench, set[str]()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message not in self.seen:
            self.seen.add(message)
            self.bench.tell(record.name, message, NOTE)


Section = Callable[[Bench], None]
