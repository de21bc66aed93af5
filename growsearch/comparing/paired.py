"""Two studies beside each other where both ran a configuration with the same seed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import stdev

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from growsearch.comparing.entrants import CONFIG, values_of
from growsearch.study.best import configurations
from growsearch.study.claims import difference
from growsearch.study.verdicts import Verdict, judge
from growsearch.trial.status import Status

SEED = f"{CONFIG}seed"
OF_METRIC, OF_COST = "metric", "cost"
_LARGEST = 700.0
"""Beyond it e to the power of a float is infinite."""


@dataclass(frozen=True)
class Paired:
    """A paired test over seeds: the mean over configurations of one study minus the other."""

    quantity: str
    """"metric": its difference; "cost": by how many percent one costs more."""
    mean: float
    low: float
    high: float
    """The ends of the 95 % interval (Student's t); infinite where `half_width` is."""
    effect: float | None
    """The mean over the standard deviation of the seeds' differences (Cohen's d of pairs).

    None without an interval, or if all differences are equal."""
    p: float | None
    """The p-value of the two-sided paired t-test; None where `effect` is."""
    seeds: int
    pairs: int
    better: str | None
    """The study that is better, if the interval does not hold 0."""


def factors(one: pd.DataFrame, other: pd.DataFrame) -> list[str]:
    """The options that are the same in all trials of each table of `summarize`, but not in both."""
    names = dict.fromkeys(str(c) for t in (one, other) for c in t if str(c).startswith(CONFIG))
    found = []
    for name in names:
        values = [values_of(table, name) for table in (one, other)]
        if name != SEED and values[0] != values[1] and max(map(len, values)) == 1:
            found.append(name.removeprefix(CONFIG))
    return found


def paired(
    one: pd.DataFrame, other: pd.DataFrame, metric: str, cost: str, minimized: bool
) -> list[Paired]:
    """The tests of a metric's and a cost's column over two studies' tables, with column `study`.

    Trials are paired that have completed and agree in all options but `factors`; empty without
    any such pair. Where a study has several such trials their mean is taken.
    """
    apart = {f"{CONFIG}{name}" for name in factors(one, other)} | {SEED}
    both = pd.concat([one, other], ignore_index=True)
    both = both[both["status"] == Status.COMPLETED]
    both = both.assign(
        seed=both[SEED], configuration=configurations(both, apart),
        logarithm=_finite(np.log(both[cost].to_numpy(float))),
        outcome=_finite(both[metric].to_numpy(float)),
    )  # fmt: skip
    names = str(one["study"].iloc[0]), str(other["study"].iloc[0])
    found = []
    for quantity, column in ((OF_METRIC, "outcome"), (OF_COST, "logarithm")):
        numbers = difference("study", *names, column, equal=("configuration",))
        differences, trials = numbers(both)
        if trials:
            less = minimized or quantity == OF_COST
            found.append(_tested(quantity, differences, trials // 2, less, names))
    return found


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(values), values, np.nan)


def _tested(
    quantity: str, differences: "pd.Series[float]", pairs: int, less: bool, names: Sequence[str]
) -> Paired:
    values = [float(value) for value in differences]
    signed = [-value if less else value for value in values]
    judged = judge(signed, above=0, exact=quantity == OF_COST)
    mean, low, high = judged.mean, judged.low, judged.high
    if less:
        mean, low, high = 0.0 - mean, 0.0 - high, 0.0 - low  # -0.0 would read as less than 0
    better = {Verdict.AGREES: names[0], Verdict.DISAGREES: names[1]}.get(judged.verdict)
    deviation = stdev(values) if math.isfinite(low) else 0.0
    effect = mean / deviation if deviation else None
    p = None if effect is None else _p(effect, len(values))
    if quantity == OF_COST:
        mean, low, high = map(_percent, (mean, low, high))
    return Paired(quantity, mean, low, high, effect, p, judged.seeds, pairs, better)


def _percent(logarithm: float) -> float:
    """By how many percent a ratio is above 1."""
    return 100 * math.expm1(logarithm) if abs(logarithm) < _LARGEST else logarithm


def _p(effect: float, seeds: int) -> float:
    from scipy.stats import t as student

    return float(2 * student.sf(abs(effect) * math.sqrt(seeds), seeds - 1))
