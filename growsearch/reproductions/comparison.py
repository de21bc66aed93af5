"""A table or figure of a paper beside ours: numbers, verdicts, and their text."""

import math
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import pandas as pd

from growsearch.reproductions.definition import Number, Reproduction, Scale
from growsearch.reproductions.outcomes import QUANTITIES, Outcomes, StudyOutcomes, outcomes
from growsearch.study.verdicts import Judged, Verdict, judge, overall
from growsearch.trial.errors import counted

NONE = "-"


@dataclass(frozen=True)
class JudgedClaim:
    """A claim, in one of our groups."""

    group: str
    says: str
    above: float
    judged: Judged


@dataclass(frozen=True)
class ReproductionResult:
    """What a study says about a definition at one scale."""

    name: str
    definition: Reproduction
    scale_name: str
    found: StudyOutcomes
    claims: tuple[JudgedClaim, ...]

    @property
    def scale(self) -> Scale:
        return self.definition.scale(self.scale_name)

    @property
    def verdict(self) -> Verdict:
        return overall([claim.judged.verdict for claim in self.claims])

    @property
    def sentence(self) -> str:
        """The verdict, in one sentence."""
        verdicts = [claim.judged.verdict for claim in self.claims]
        counts = {verdict: verdicts.count(verdict) for verdict in Verdict}
        what = {
            Verdict.AGREES: "agrees with the paper",
            Verdict.DISAGREES: "disagrees with the paper",
            Verdict.CANNOT_TELL: "cannot tell at this size",
        }[self.verdict]
        return (
            f"{self.definition.place}, {self.scale_name}: {what} "
            f"({counted(len(verdicts), 'comparison')}: "
            f"agree {counts[Verdict.AGREES]}, disagree {counts[Verdict.DISAGREES]}, cannot tell "
            f"{counts[Verdict.CANNOT_TELL]})."
        )

    @property
    def missing(self) -> str | None:
        """A sentence on trials without an outcome; None if there are none."""
        found = self.found
        if found.completed == found.expected:
            return None
        said = f"{found.completed} of {found.expected} trials have an outcome"
        return f"{said}; {found.ended} stopped, diverged or failed." if found.ended else f"{said}."

    def to_dict(self) -> dict[str, Any]:
        """As JSON: the paper's numbers and ours, and each claim's interval and verdict."""
        return {
            "name": self.name,
            "place": self.definition.place,
            "title": self.definition.title,
            "scale": self.scale_name,
            "note": self.scale.note,
            "verdict": self.verdict.value,
            "sentence": self.sentence,
            "trials": {"expected": self.found.expected, "completed": self.found.completed},
            "paper": {
                group: {
                    row: {
                        name: list(number) if isinstance(number, tuple) else number
                        for name, number in numbers.items()
                    }
                    for row, numbers in rows.items()
                }
                for group, rows in self.definition.numbers.items()
            },
            "ours": {
                group: {row: self._ours(own, row) for row in own.rows}
                for group, own in self.found.groups.items()
            },
            "claims": [
                {
                    "group": claim.group, "claim": claim.says, "above": claim.above,
                    "mean": _finite(claim.judged.mean),
                    "interval": [_finite(claim.judged.low), _finite(claim.judged.high)],
                    "seeds": claim.judged.seeds, "verdict": claim.judged.verdict.value,
                }
                for claim in self.claims
            ],
        }  # fmt: skip

    def _ours(self, own: Outcomes, row: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for quantity in self.definition.quantities:
            if quantity == "network":
                found[quantity] = own.networks(row)
                continue
            values = own.values(row, quantity)
            found[quantity] = {
                "mean": fmean(values) if values else None,
                "std": stdev(values) if len(values) > 1 else None,
                "seeds": len(values),
            }
        return found

    def to_markdown(self) -> str:
        """The table, a section for each of our groups; then the claims and the verdict."""
        lines = [f"# {self.definition.place}: {self.definition.title}", "", self.scale.note, ""]
        for group, own in self.found.groups.items():
            lines += self._table(group, own)
        lines += [
            "| claim of the paper | where | ours | 95 % interval | claimed | seeds | verdict |",
            "|---|---|---|---|---|---|---|",
        ]
        for claim in self.claims:
            judged = claim.judged
            interval = f"{_signed(judged.low)} to {_signed(judged.high)}"
            lines.append(
                f"| {claim.says} | {claim.group} | {_signed(judged.mean)} "
                f"| {interval if math.isfinite(judged.low) else NONE} | over {claim.above:g} "
                f"| {judged.seeds} | {judged.verdict} |"
            )
        lines += ["", self.sentence, *([self.missing] if self.missing else [])]
        return "\n".join(lines) + "\n"

    def _table(self, group: str, own: Outcomes) -> list[str]:
        numbers = self.definition.numbers
        beside = [group] if group in numbers else list(numbers)
        head = ["", "", *(f"paper, {name}" for name in beside), f"ours, {group}", "seeds"]
        lines = [_line(head), "|" + "---|" * len(head)]
        for row in [*own.rows, *(r for r in _rows(numbers, beside) if r not in own.rows)]:
            for quantity in self.definition.quantities:
                papers = [numbers[name].get(row, {}).get(quantity) for name in beside]
                values, shown = own.values(row, quantity) if quantity != "network" else [], NONE
                count = len(values)
                if quantity == "network":
                    networks = own.networks(row)
                    count, shown = len(networks), _networks(networks)
                elif values:
                    shown = _spread(quantity, values)
                if count or any(paper is not None for paper in papers):
                    label = QUANTITIES[quantity].label
                    known = [_paper(quantity, paper) for paper in papers]
                    lines.append(_line([row, label, *known, shown, str(count or NONE)]))
        return [*lines, ""]


def compare(
    name: str, definition: Reproduction, scale_name: str, study: pd.DataFrame
) -> ReproductionResult:
    """The definition at a scale, by a table of `read_study`.

    Raises InputError if the study has none of its trials.
    """
    scale = definition.scale(scale_name)
    found = outcomes(scale, study, deltas=definition.from_scratch)
    claims = tuple(
        JudgedClaim(
            group, claim.says, claim.above,
            judge((claim.statistic.of(own, seed) for seed in own.seeds), claim.above),
        )
        for claim in definition.claims
        for group, own in found.groups.items()
        if claim.applies(group, scale.groups[group])
    )  # fmt: skip
    return ReproductionResult(name, definition, scale_name, found, claims)


def _rows(numbers: Any, groups: list[str]) -> list[str]:
    return list(dict.fromkeys(row for group in groups for row in numbers[group]))


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _shown(quantity: str, value: float) -> str:
    about = QUANTITIES[quantity]
    return f"{value / about.unit:.{about.decimals}f}"


def _spread(quantity: str, values: list[float]) -> str:
    mean = _shown(quantity, fmean(values))
    return f"{mean} ± {_shown(quantity, stdev(values))}" if len(values) > 1 else mean


def _paper(quantity: str, number: Number | None) -> str:
    if number is None or isinstance(number, str):
        return number or NONE
    if isinstance(number, tuple):
        return " ± ".join(_shown(quantity, part) for part in number)
    return _shown(quantity, number)


def _networks(networks: list[str]) -> str:
    return ", ".join(dict.fromkeys(networks)) or NONE


def _signed(value: float) -> str:
    """To three digits; what is left of a difference by rounding is 0."""
    return NONE if math.isnan(value) else f"{round(value, 9):+.3g}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
