"""Whether our numbers agree with a claim: the 95 % t-interval of a number over paired seeds."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import fmean, stdev

from scipy.stats import t as student

CONFIDENCE = 0.95


class Verdict(StrEnum):
    AGREES = "agrees"
    DISAGREES = "disagrees"
    CANNOT_TELL = "cannot tell at this size"


@dataclass(frozen=True)
class Judged:
    """The number that a claim is about, over seeds, and what follows."""

    mean: float
    low: float
    high: float
    """The ends of the 95 % interval; infinite where `half_width` is."""
    seeds: int
    verdict: Verdict


def _finite(values: Iterable[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _equal(one: float, other: float) -> bool:
    """Equal but for rounding."""
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)


def half_width(values: Iterable[float], *, exact: bool = False) -> float:
    """Half the width of the 95 % interval of the finite values' mean.

    Infinite for fewer than two values, and for two equal ones: of a metric with few values, like an
    accuracy of 300 images, two seeds are often equal by chance. `exact` numbers, like FLOPs, are
    equal for another reason: they do not depend on the seed.
    """
    known = _finite(values)
    if len(known) < 2 or (len(known) == 2 and not exact and _equal(*known)):
        return math.inf
    t = student.ppf((1 + CONFIDENCE) / 2, len(known) - 1)
    return float(t) * stdev(known) / math.sqrt(len(known))


def judge(values: Iterable[float], above: float, *, exact: bool = False) -> Judged:
    """The verdict on the claim that the mean of a number is more than `above`.

    `values` are the number of each seed; what is not finite is left out. The claim agrees if the
    whole interval (Student's t, two-sided) lies above `above`, disagrees if all of it lies below,
    and cannot be told if `above` is inside or on its edge. `exact` is that of `half_width`.
    """
    known = _finite(values)
    if not known:
        return Judged(math.nan, -math.inf, math.inf, 0, Verdict.CANNOT_TELL)
    mean, half = fmean(known), half_width(known, exact=exact)
    low, high = mean - half, mean + half
    verdict = Verdict.CANNOT_TELL
    if low > above:
        verdict = Verdict.AGREES
    elif high < above:
        verdict = Verdict.DISAGREES
    return Judged(mean, low, high, len(known), verdict)


def judge_below(values: Iterable[float], below: float = 0.0) -> Judged:
    """As `judge`, on the claim that the mean of a number is less than `below`."""
    judged = judge((-value for value in values), above=-below)
    return replace(judged, mean=-judged.mean, low=-judged.high, high=-judged.low)


def in_markdown(judged: Judged, unit: str, digits: int = 4) -> str:
    """What a table says: the verdict, and the number with its interval."""
    decided = judged.verdict is not Verdict.CANNOT_TELL
    verdict = f"**{judged.verdict}**" if decided else "cannot tell"
    mean, low, high = (f"{x:+.{digits}f}" for x in (judged.mean, judged.low, judged.high))
    return f"{verdict}: {mean} {unit} ({low} to {high})"


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """Disagrees if one claim does, agrees if all do, otherwise it cannot be told."""
    if Verdict.DISAGREES in verdicts:
        return Verdict.DISAGREES
    if verdicts and all(verdict is Verdict.AGREES for verdict in verdicts):
        return Verdict.AGREES
    return Verdict.CANNOT_TELL
