"""What a comparison of studies found."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import pandas as pd

from growsearch.comparing.paired import Paired
from growsearch.stopping.hypervolume import Bounds
from growsearch.study.as_json import plain


@dataclass(frozen=True)
class Reached:
    """When a study's completed trials had a share of the joint front's hypervolume."""

    share: float
    trials: int | None
    """How many had completed; None, as the next two, if they never had it."""
    paid: float | None
    """The cost of the epochs that the study had trained by then."""
    nominal: float | None
    """The cost of the epochs that its trials had by then, those from a store included."""


@dataclass(frozen=True)
class StudyResult:
    """One study of a comparison."""

    study: str
    folder: str
    trials: int
    completed: int
    seeds: int
    """Of all trials, whether they have completed or not."""
    on_front: int
    """How many points of the joint front it has."""
    alone_on_front: int
    """How many of them no other study has."""
    hypervolume: float
    share: float
    """Its hypervolume as a share of the joint front's."""
    reached: tuple[Reached, ...]
    """For each of SHARES."""
    paid: float
    """For all of its trials."""
    nominal: float
    order: str
    """"log": trials in the order in which they completed; "names": its log is not there."""


@dataclass(frozen=True)
class PairResult:
    """Two studies of a comparison."""

    one: str
    other: str
    one_ahead: float
    """The area of the scaled plane where `one` is attained by a larger share of seeds, weighted by
    how much larger: see `attainment_difference`."""
    other_ahead: float
    factors: tuple[str, ...]
    """The options in which the paired trials differ, besides the study."""
    tests: tuple[Paired, ...]
    """Empty if both never ran one configuration with the same seed."""


@dataclass(frozen=True)
class Comparison:
    """What `compare_studies` found."""

    cost: str
    metric: str
    minimized: bool
    """Whether less of the metric is better."""
    unit: str
    """The cost in which is counted what searches pay."""
    bounds: Bounds
    """The ranges of cost and metric that scale every hypervolume here; a loss is negated."""
    hypervolume: float
    """The hypervolume of the joint front."""
    studies: tuple[StudyResult, ...]
    front: pd.DataFrame = field(compare=False)
    """The joint front, cheapest first: a row a point, with the names of the studies and of the
    trials that have it."""
    pairs: tuple[PairResult, ...]
    differences: tuple[str, ...]
    """Why the studies must not be compared; they were all the same."""
    notes: tuple[str, ...]
    """What a reader must know of the studies: a metric whose plugin is not loaded."""
    points: pd.DataFrame = field(compare=False, repr=False)
    """Study, trial, seed, cost and metric of all completed trials."""
    progress: Mapping[str, tuple[tuple[float, float], ...]] = field(compare=False, repr=False)
    """By study, after each completion: what was paid, and the share of the joint front."""

    @property
    def limits(self) -> tuple[str, ...]:
        """What the numbers of studies with other numbers of seeds, or without a log, cannot say."""
        found = []
        if len({study.seeds for study in self.studies}) > 1:
            seeds = ", ".join(f"{study.study} {study.seeds}" for study in self.studies)
            found.append(
                f"The numbers of seeds differ ({seeds}). Front, hypervolume and paid take all "
                "seeds together, which favours the study with more; the attainment compares runs "
                "of one seed."
            )
        orders = [study.study for study in self.studies if study.order != "log"]
        if orders:
            have, their = ("has", "its") if len(orders) == 1 else ("have", "their")
            found.append(
                f"The order in which trials completed is not known of {', '.join(orders)}, which "
                f"{have} no log: {their} trials are taken in the order of their names."
            )
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """What `growsearch compare --json` prints, of Python's plain types."""
        named = {f.name: getattr(self, f.name) for f in fields(self) if f.repr}
        named["notes"] = [*self.notes, *self.limits]
        found: dict[str, Any] = plain(named | {"front": self.front.to_dict("records")})
        return found

    def tables(self) -> dict[str, pd.DataFrame]:
        """The comparison as tables: "studies", "front" and "pairs", a row each."""
        studies = [
            {
                **{f.name: getattr(study, f.name) for f in fields(study) if f.name != "reached"},
                **{
                    f"{what}_to_{at.share:.0%}": getattr(at, what)
                    for at in study.reached
                    for what in ("paid", "nominal")
                },
            }
            for study in self.studies
        ]
        pairs = []
        for pair in self.pairs:
            own = {f.name: getattr(pair, f.name) for f in fields(pair) if f.name != "tests"}
            own["factors"] = " ".join(pair.factors)
            pairs += [own | vars(test) for test in pair.tests] or [own]
        texts = {name: self.front[name].map(" ".join) for name in ("studies", "trials")}
        return {
            "studies": pd.DataFrame(studies), "front": self.front.assign(**texts),
            "pairs": pd.DataFrame(pairs),
        }  # fmt: skip
