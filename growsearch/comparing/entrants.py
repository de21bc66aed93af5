"""The studies of a comparison, and whether they may be compared."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from growsearch.study.folder import read_info
from growsearch.study.results import read_table
from growsearch.study.summary import summarize
from growsearch.trial.components import components
from growsearch.trial.errors import InputError
from growsearch.trial.options import Role
from growsearch.trial.trial_options import every_option

CONFIG = "config/"


@dataclass(frozen=True, eq=False)
class Entrant:
    """A study that is compared with others."""

    name: str
    """The name of its folder; its path if two folders have one name."""
    folder: Path
    info: dict[str, Any]
    table: pa.Table
    """Its epochs: `read_table`."""

    @cached_property
    def epochs(self) -> pd.DataFrame:
        return self.table.to_pandas()

    @cached_property
    def trials(self) -> pd.DataFrame:
        """`summarize`, with the column `study`."""
        return summarize(self.epochs).assign(study=self.name)

    def values(self, option: str) -> set[Any]:
        """The values of an option over all trials; None where it does not apply."""
        return values_of(self.trials, f"{CONFIG}{option}")

    @property
    def horizon(self) -> int:
        """The epochs of its longest configuration."""
        return int(self.trials[f"{CONFIG}epochs"].max())


def values_of(trials: pd.DataFrame, column: str) -> set[Any]:
    """The values of a column; None where it is empty, or not there."""
    if column not in trials:
        return {None}
    return {None if value != value else value for value in trials[column].unique()}


def read_entrants(folders: Sequence[str | Path]) -> list[Entrant]:
    """The studies in `folders`.

    Raises InputError if there are fewer than two, if two are the same, or if one is no study.
    """
    paths = [Path(folder) for folder in folders]
    if len(paths) < 2:
        raise InputError(f"{len(paths)} study cannot be compared; name two or more")
    for one, other in combinations(paths, 2):
        if one.resolve() == other.resolve():
            raise InputError(f"{str(one)!r} and {str(other)!r} are the same study; name it once")
    names = [path.resolve().name for path in paths]
    return [
        Entrant(name if names.count(name) == 1 else str(path), path, read_info(path), table)
        for name, path in zip(names, paths, strict=True)
        for table in [read_table(path)]
    ]


def differences(studies: Sequence[Entrant]) -> list[str]:
    """Why the studies must not be compared, a phrase a reason: other data, or another horizon."""
    found = list[str]()
    rules = dict(every_option())
    for task in {name for study in studies for name in study.values("task")}:
        if task in (known := components("task")):  # its options may share names with others
            rules |= known[task].options()
    measuring = [n for n, rule in rules.items() if rule.measures or rule.role is Role.DATA]
    for option in measuring:
        found += _differences(option, [(s.name, _shown(s.values(option))) for s in studies])
    return [
        *found,
        *_differences("the longest horizon", [(s.name, f"{s.horizon}") for s in studies]),
    ]


def _differences(what: str, values: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A sentence for the first study whose value is not that of the first study."""
    (first, wanted), *others = values
    for name, value in others:
        if value != wanted:
            yield f"{what} is {wanted} in {first!r} and {value} in {name!r}"
            return


def _shown(values: set[Any]) -> str:
    return ", ".join(sorted("unset" if v is None else f"{v}"[:60] for v in values))


def check_comparable(studies: Sequence[Entrant], more: Sequence[str] = ()) -> None:
    """InputError with all reasons for which the studies must not be compared; `more` are others."""
    reasons = [*differences(studies), *more]
    if reasons:
        raise InputError(
            f"these studies must not be compared: {'; '.join(reasons)}; compare studies that agree "
            "in this, or give --force (force=True)"
        )
