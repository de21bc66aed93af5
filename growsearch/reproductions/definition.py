"""What a definition of a table or figure states: trials, the paper's numbers, and its claims."""

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

from growsearch.reproductions.drawing import Drawing
from growsearch.reproductions.statistics import Statistic, matching
from growsearch.trial.config import TrialConfig
from growsearch.trial.options import Role

Options = Mapping[str, Any]
"""Options of a trial, without its seed."""
Rows = dict[str, Options]
"""The trials of a group, by row."""
Number = float | tuple[float, float] | str
"""A number of a paper, with its standard deviation where the paper has one, or a network."""
Cells = dict[str, Number]
"""The paper's numbers of a row, by quantity."""
Identity = tuple[tuple[str, Any], ...]
SCALES = ("small", "paper")

_NOT_COMPARED = (Role.MACHINE, Role.RECORD)
"""Roles of options in which a trial of a study may differ from the definition."""


@dataclass(frozen=True)
class Claim:
    """A comparison that the paper's text or numbers claim: `statistic` is more than `above`."""

    says: str
    """A clause, like "LipGrow's network is as accurate as the vanilla one, but for 1 point"."""
    statistic: Statistic
    _: KW_ONLY
    above: float = 0.0
    not_of: tuple[str, ...] = ()
    """Groups of which the paper does not claim it."""

    def applies(self, group: str, rows: Mapping[str, Any]) -> bool:
        """Whether it is claimed of the group, whose rows have all that the statistic needs."""
        return group not in self.not_of and all(
            matching(pattern, rows) for pattern in self.statistic.needs
        )


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The trials at one size: each row of each group once a seed."""

    groups: Mapping[str, Mapping[str, Options]]
    """By group (a data set, a network family) and row (of the table, or a point of the figure)."""
    seeds: tuple[int, ...]
    note: str
    """What is smaller than in the paper, or what the paper leaves open."""

    def spaces(self) -> list[dict[str, Any]]:
        """As Tune search spaces, like those of search_spaces/."""
        seeds = {"seed": {"grid_search": list(self.seeds)}}
        return [{**options, **seeds} for rows in self.groups.values() for options in rows.values()]

    def trials(self) -> Iterator[tuple[str, str, int, TrialConfig]]:
        """Group, row, seed and configuration of each trial."""
        for group, rows in self.groups.items():
            for row, options in rows.items():
                for seed in self.seeds:
                    yield group, row, seed, TrialConfig.from_flat({**options, "seed": seed})


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """One table or figure of a paper."""

    title: str
    place: str
    """Where it is in the paper: "LipGrow, Table 2"."""
    quantities: tuple[str, ...]
    """What the table shows of each row, of `outcomes.QUANTITIES`."""
    numbers: Mapping[str, Mapping[str, Mapping[str, Number]]]
    """The paper's numbers by group, row and quantity; empty where it only draws them."""
    claims: tuple[Claim, ...]
    drawing: Drawing
    small: Scale
    paper: Scale
    from_scratch: bool = False
    """Whether each network that is found is also trained from scratch (AutoGrow's deltas)."""
    study: str | None = None
    """The definition whose study has these trials; None: its own."""

    def scale(self, name: str) -> Scale:
        return {"small": self.small, "paper": self.paper}[name]


def identity(config: TrialConfig) -> Identity:
    """What makes two trials the same: all options but where data are and how sums round."""
    rules = config.rules()
    return tuple(
        (name, value)
        for name, value in config.to_flat().items()
        if value is not None and name != "data_dir" and rules[name].role not in _NOT_COMPARED
    )
