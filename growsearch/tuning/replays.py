"""Schedulers compared by replays of one recording in many orders."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import mean, median
from typing import Any

from growsearch.searches.kinds import Scheduler
from growsearch.searches.recorded import Recording
from growsearch.searches.settings import SearchSettings
from growsearch.trial.errors import InputError
from growsearch.tuning.replay import ORACLE, replay

SHARES = (0.9, 0.95, 0.99)
"""Of the whole front's hypervolume, to which what was paid is compared."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A number over replays. That of a replay that never got there is infinite."""

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
class Compared:
    """What a scheduler did over replays. Paid are parameter-epochs, in percent of those of all
    trials without sharing.
    """

    scheduler: str
    workers: int
    paid_to: tuple[Spread, ...]
    """Until the hypervolume was each of SHARES of the whole front's."""
    paid: Spread
    """Until nothing was left to do."""
    front_lost: float
    """The mean share of the whole front's trials that it stopped, in percent."""
    lossless: float
    """The percentage of the replays in which it stopped none of them."""
    decision_ms: float
    """The mean time of a decision."""

    def to_dict(self) -> dict[str, Any]:
        """Of JSON's types: what is infinite is None."""
        return {name: _finite(value) for name, value in asdict(self).items()}


def chosen_scheduler(text: str) -> Scheduler | str:
    """The scheduler of a text like "pareto" or "pareto,racing=3", or ORACLE.

    Raises InputError if there is none, or for an option that it does not have.
    """
    name, *options = text.split(",")
    if name == ORACLE:
        return ORACLE
    given: dict[str, Any] = {"scheduler": name}
    for option in options:
        key, _, value = option.partition("=")
        try:
            given[key] = float(value)
        except ValueError as error:
            raise InputError(
                f"{text!r} is no scheduler; write its name and its options' values like "
                "pareto,racing=3,alpha=0.2"
            ) from error
    return SearchSettings.from_flat(given).scheduler


def compare(
    recording: Recording, text: str, *, workers: int, seeds: Sequence[int], shared: bool = True
) -> Compared:
    """Replays `recording` with the scheduler that `text` names, once for each seed."""
    whole = recording.param_epochs(shared=False)
    runs = [
        replay(recording, chosen_scheduler(text), workers=workers, seed=seed, shared=shared)
        for seed in seeds
    ]
    paid_to = [
        [None if (paid := run.paid_to(share)) is None else 100 * paid / whole for run in runs]
        for share in SHARES
    ]
    return Compared(
        scheduler=text,
        workers=workers,
        paid_to=tuple(map(Spread.of, paid_to)),
        paid=Spread.of(100 * run.paid / whole for run in runs),
        front_lost=mean(100 * len(run.lost) / len(recording.front) for run in runs),
        lossless=mean(100.0 * (not run.lost) for run in runs),
        decision_ms=mean(1000 * seconds for run in runs for seconds in run.decisions),
    )


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value
