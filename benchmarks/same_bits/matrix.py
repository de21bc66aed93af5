"""The cases: which trials, resumed trials, shared trials, configurations and plans are compared."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import details
import products
import shared
from products import Made

PLANS: list[tuple[str, list[str]]] = [
    ("fixed", []),
    ("fixed", ["--lr-schedule", "constant"]),
    ("apart", ["--lr-schedule", "constant"]),
    ("lipgrow", ["--trials", "12"]),
    ("subnetworks", ["--trials", "12", "--search-seed", "3"]),
    ("autogrow", ["--trials", "16", "--dataset", "digits"]),
    ("schedules", []),
    ("changes", []),
    ("mixed", ["--trials", "36"]),
    ("machine", ["--dataset", "digits"]),
]
"""A space of spaces.py, and what else the command line says."""


@dataclass(frozen=True)
class Case:
    """One piece of work for a worker; `spec` is what the runner of that `kind` needs, in JSON."""

    kind: str
    name: str
    spec: dict[str, Any]

    @property
    def id(self) -> str:
        text = json.dumps([self.kind, self.name, self.spec], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def all_cases(with_compile: bool, full: bool) -> list[Case]:
    """Every case, the longest first; compiled trials and the full product if they are asked for."""
    made = [
        *details.trials(with_compile),
        *shared.cases(),
        *details.resumed(),
        *products.trials(full),
        *products.configurations(),
        details.configurations(),
        *_plans(),
    ]
    return [Case(*case) for case in made]


def _plans() -> Iterator[Made]:
    text = Path(__file__).with_name("spaces.py").read_text()
    for space, arguments in PLANS:
        spec = {"space": f"{text}\nparam_space = {space}\n", "arguments": arguments}
        yield "plan", " ".join(["plan:", space, *arguments]), spec
