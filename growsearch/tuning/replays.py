"""Schedulers compared by replays of one recording in many orders."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import mean, median
from typing import Any

from growsearch.searches.kinds import Sampler, Scheduler
from growsearch.searches.recorded import Recording
from growsearch.searches.settings import SearchSettings
from growsearch.stopping.hypervolume import SHARES
from growsearch.trial.errors import InputError
from growsearch.trial.options import suggestion
from growsearch.tuning.baselines import BASELINES
from growsearch.tuning.replay import ORACLE, Replay, replay


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The spread of a number over replays. It is infinite in a replay that never got there."""

    median: float
    lowest: float
    """At most a twentieth of the replays are below."""
    highest: float
    """At most a twentieth of the replays are above."""
    never: float
    """The share of the replays that never got there."""

    @classmethod
    def of(cls, values: Iterable[float | None]) -> "Spread":
        numbers = sorted(math.inf if value is None else value for value in values)
        beyond = len(numbers) // 20
        return cls(
            median=median(numbers),
            lowest=numbers[beyond],
            highest=numbers[-1 - beyond],
            never=numbers.count(math.inf) / len(numbers),
        )


@dataclass(frozen=True, kw_only=True)
class Contender:
    """What searches a recording."""

    scheduler: Scheduler | str
    """ORACLE, or a scheduler."""
    sampler: Sampler | None = None
    cheapest_first: bool = False

    def replay(self, recording: Recording, **options: Any) -> Replay:
        return replay(
            recording, self.scheduler, sampler=self.sampler, cheapest_first=self.cheapest_first,
            **options,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ContenderResult:
    """A contender's results over all replays.

    Paid is given in percent of what all trials cost without sharing.
    """

    scheduler: str
    """The contender's text."""
    workers: int
    shared: bool
    paid_to: tuple[Spread, ...]
    """Until the hypervolume was each of SHARES of the whole front's."""
    paid: Spread
    """Until nothing was left to do."""
    front_lost: float
    """The mean share of the whole front's trials that never completed, in percent."""
    lossless: float
    """The percentage of the replays in which all of them did."""
    decision_ms: float
    """The mean time of a decision."""
    slowest_ms: float
    """The time that a hundredth of the decisions exceed."""
    curve: tuple[tuple[float, float, float, float], ...]
    """Paid, from 0.1 to 100 in equal ratios; and the hypervolume then, in percent of the whole
    front's: the median, and the range without a twentieth at each end."""

    def to_dict(self) -> dict[str, Any]:
        """The fields in JSON's types: what is infinite is None."""
        return {name: _finite(value) for name, value in asdict(self).items()}


def contender(text: str) -> Contender:
    """The contender of a text: a scheduler, or ORACLE, with options, like "pareto,racing=3".

    Besides the scheduler's own options there are "sampler=tpe", which draws the trials, and
    "order=cheapest". Raises InputError if there is no such scheduler or option.
    """
    name, *options = text.split(",")
    given: dict[str, Any] = {}
    for option in options:
        key, _, value = option.partition("=")
        given[key] = value if key in ("sampler", "order") else _number(text, value)
    order, sampler = given.pop("order", None), given.pop("sampler", None)
    if order not in (None, "cheapest"):
        raise InputError(f"unknown order {order!r} in {text!r}; give cheapest, or none for random")
    if sampler is not None:
        sampler = SearchSettings.from_flat({"sampler": sampler}).sampler
    return Contender(
        scheduler=_scheduler(name, given, text), sampler=sampler, cheapest_first=order is not None
    )


def _scheduler(name: str, options: dict[str, Any], text: str) -> Scheduler | str:
    if name == ORACLE:
        return ORACLE
    if name not in BASELINES:
        return SearchSettings.from_flat({"scheduler": name, **options}).scheduler
    known = BASELINES[name].options()
    for option in options:
        if option not in known:
            raise InputError(f"{text!r}: {name} has no {option!r}{suggestion(option, list(known))}")
    return BASELINES[name](**options)


def _number(text: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError as error:
        raise InputError(
            f"{text!r} is no scheduler; write its name and its options' values like "
            "pareto,racing=3,alpha=0.2"
        ) from error
    return int(number) if number.is_integer() else number


def compare(
    recording: Recording, text: str, *, workers: int, seeds: Sequence[int], shared: bool = True
) -> ContenderResult:
    """Replays `recording` with the contender that `text` names, once for each seed."""
    whole = recording.to_pay(shared=False)
    chosen = contender(text)
    runs = [chosen.replay(recording, workers=workers, seed=seed, shared=shared) for seed in seeds]
    paid_to = [
        [None if (paid := run.paid_to(share)) is None else 100 * paid / whole for run in runs]
        for share in SHARES
    ]
    seconds = sorted(second for run in runs for second in run.decisions)
    return ContenderResult(
        scheduler=text,
        workers=workers,
        shared=shared,
        paid_to=tuple(map(Spread.of, paid_to)),
        paid=Spread.of(100 * run.paid / whole for run in runs),
        front_lost=mean(100 * len(run.lost) / len(recording.front) for run in runs),
        lossless=mean(100.0 * (not run.lost) for run in runs),
        decision_ms=1000 * mean(seconds),
        slowest_ms=1000 * seconds[-1 - len(seconds) // 100],
        curve=_curve(runs, whole),
    )


def _curve(runs: Sequence[Replay], whole: float) -> tuple[tuple[float, float, float, float], ...]:
    steps = [
        ([100 * done.paid / whole for done in run.completions], [0.0, *run.hypervolumes])
        for run in runs
    ]
    points = []
    for paid in (10 ** (n / 40 - 1) for n in range(121)):
        reached = Spread.of(100 * volumes[bisect_right(ends, paid)] for ends, volumes in steps)
        points.append((paid, reached.median, reached.lowest, reached.highest))
    return tuple(points)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value
