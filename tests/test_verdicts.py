"""The rule by which our numbers agree with a claim, and the numbers that claims are about."""

import math
import random
from statistics import fmean

import numpy as np
import pytest

from growsearch.reproductions.statistics import (
    Apart,
    Correlation,
    Difference,
    Minus,
    MoreCorrelated,
    OverBest,
    Saving,
    UnderBest,
    WorstToBest,
)
from growsearch.study.verdicts import Verdict, in_markdown, judge, judge_below, overall

AGREES, DISAGREES, CANNOT_TELL = Verdict
QUANTILES = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 10: 2.262, 30: 2.045}
"""Two-sided 95 % quantiles of Student's t by the number of seeds, from printed tables."""


class Table:
    """Values of one quantity, or of several, by row; a column a seed."""

    def __init__(self, **quantities: dict[str, list[float]]) -> None:
        self.quantities = quantities

    @property
    def rows(self) -> tuple[str, ...]:
        return tuple(next(iter(self.quantities.values())))

    def value(self, row: str, seed: int, quantity: str) -> float:
        return self.quantities[quantity][row][seed]

    def mean(self, row: str, quantity: str, without: int) -> float:
        values = self.quantities[quantity][row]
        return fmean(v for seed, v in enumerate(values) if seed != without)


def test_a_claim_that_a_number_is_below_a_bound_keeps_the_numbers_sign():
    """By hand: the deviation is 0.1, and t = 4.303 for three seeds."""
    values, half = [0.2, 0.3, 0.4], 4.303 * 0.1 / math.sqrt(3)
    for below, verdict in ((0.6, AGREES), (0.3, CANNOT_TELL), (0.0, DISAGREES)):
        judged = judge_below(values, below)
        assert (judged.verdict, judged.seeds) == (verdict, 3)
        assert judged.mean == pytest.approx(0.3)
        assert (judged.low, judged.high) == pytest.approx((0.3 - half, 0.3 + half), abs=1e-4)
    assert in_markdown(judged, "%", 2) == "**disagrees**: +0.30 % (+0.05 to +0.55)"
    assert in_markdown(judge_below(values, 0.3), "nats").startswith("cannot tell: +0.3000 nats (")


@pytest.mark.parametrize("seeds", QUANTILES)
def test_the_interval_is_that_of_printed_t_tables(seeds):
    values = [random.Random(seed).gauss(1, 2) for seed in range(seeds)]
    half = QUANTILES[seeds] * np.std(values, ddof=1) / math.sqrt(seeds)
    judged = judge(values, 0)
    assert (judged.low, judged.high) == pytest.approx(
        (np.mean(values) - half, np.mean(values) + half), rel=2e-4, abs=1e-3
    )


def test_of_twenty_intervals_nineteen_contain_the_true_mean():
    draws = np.random.default_rng(0).normal(3, 2, (4000, 3))
    judged = [judge(values, 3) for values in draws]
    inside = np.mean([one.low <= 3 <= one.high for one in judged])
    assert inside == pytest.approx(0.95, abs=0.012)
    assert [one.verdict for one in judged].count(CANNOT_TELL) == inside * len(draws)


@pytest.mark.parametrize(
    ("values", "above", "verdict"),
    [
        ([1.0, 1.1, 0.9], 0, AGREES),
        ([-1.0, -1.1, -0.9], 0, DISAGREES),
        ([-1.0, -1.1, -0.9], -2, AGREES),
        ([1.0, -1.0, 0.5], 0, CANNOT_TELL),
        ([0.5, 0.5], 0, CANNOT_TELL),
        ([0.2, 1.1 - 0.9], 0, CANNOT_TELL),  # equal but for rounding
        ([0.5, 0.5, math.nan], 0, CANNOT_TELL),
        ([0.5, 0.5, 0.5], 0, AGREES),
        ([0.5, 0.5], 0.5, CANNOT_TELL),
        ([5.0], 0, CANNOT_TELL),
        ([5.0, math.nan], 0, CANNOT_TELL),
        ([math.nan, 1.0, 1.1], 0, AGREES),  # 1.05 +- 12.706 * 0.05
        ([math.inf, 1.0, 1.1], 0, AGREES),
        ([math.inf, 1.0], 0, CANNOT_TELL),
        ([math.inf, -math.inf], 0, CANNOT_TELL),
        ([], 0, CANNOT_TELL),
    ],
)
def test_a_claim_is_decided_by_where_its_interval_lies(values, above, verdict):
    assert judge(values, above).verdict is verdict


def test_two_equal_seeds_are_enough_for_a_number_that_does_not_depend_on_the_seed():
    judged = judge([0.5, 0.5], 0, exact=True)
    assert (judged.low, judged.high, judged.verdict) == (0.5, 0.5, AGREES)
    assert judge([0.5], 0, exact=True).verdict is CANNOT_TELL


def test_two_seeds_of_equally_good_networks_seldom_decide():
    """A hundredth of 300 images is wrong: a verdict is wrong in at most one case of twenty."""
    wrong = np.random.default_rng(0).binomial(300, 0.01, (4000, 2, 2))
    verdicts = [judge(pair, 0).verdict for pair in (wrong[:, 0] - wrong[:, 1]).tolist()]
    assert verdicts.count(CANNOT_TELL) >= 0.95 * len(verdicts)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([AGREES, AGREES], AGREES),
        ([AGREES, CANNOT_TELL], CANNOT_TELL),
        ([AGREES, CANNOT_TELL, DISAGREES], DISAGREES),
        ([], CANNOT_TELL),
    ],
)
def test_all_claims_together_are_as_good_as_the_worst(verdicts, expected):
    assert overall(verdicts) is expected


def test_plain_statistics():
    table = Table(cost={"a": [3.0], "b": [4.0]})
    assert Difference("cost", "a", "b").of(table, 0) == -1
    assert Saving("cost", "a", "b").of(table, 0) == 0.25
    assert Minus("cost", "a").of(table, 0) == -3


def test_how_far_a_seed_is_from_the_others():
    """By hand: 10 is 5 from the mean of 20 and 10, and 20 is 10 from that of 10 and 10."""
    table = Table(first={"own": [10.0, 20.0, 10.0]})
    assert [Apart("first", "own").of(table, seed) for seed in range(3)] == [-5, -10, -5]


def test_a_correlation_is_numpys_over_the_rows_that_begin_so():
    error = {"p 1": [1.0], "p 2": [3.0], "p 3": [2.5], "q 1": [9.0], "q 2": [4.0]}
    step = {"p 1": [1.0], "p 2": [2.0], "p 3": [3.0], "q 1": [1.0], "q 2": [2.0]}
    table = Table(error=error, step=step)
    p, q = (Correlation("error", "step", f"{row} *") for row in "pq")
    assert p.of(table, 0) == pytest.approx(np.corrcoef([1, 3, 2.5], [1, 2, 3])[0, 1])
    assert MoreCorrelated(p, q).of(table, 0) == pytest.approx(p.of(table, 0) - 1)  # of size 1
    flat = Table(error={"p 1": [1.0], "p 2": [1.0]}, step=step)
    assert math.isnan(p.of(flat, 0))


def test_the_best_and_the_worst_are_chosen_by_the_other_seeds():
    """By hand: without seed 0, `b` is best and `c` worst; what counts is their value at seed 0."""
    table = Table(x={"own": [5.0, 9.0, 9.0], "a": [9.0, 4.0, 4.0], "b": [1.0, 6.0, 6.0],
                     "c": [7.0, 2.0, 2.0]})  # fmt: skip
    grid = OverBest("x", "own", "[abc]")
    assert grid.of(table, 0) == 5 - 1
    assert UnderBest("x", "own", "[abc]").of(table, 0) == 1 - 5
    assert WorstToBest("x", "[abc]").of(table, 0) == 7 - 1


def test_choosing_by_the_other_seeds_has_no_bias():
    """Of equal rows, the best by all seeds would look better by about one deviation."""
    draw = np.random.default_rng(0)
    found = []
    for _ in range(600):
        rows = {f"grid {i}": list(draw.normal(0, 1, 3)) for i in range(6)}
        table = Table(x={"own": list(draw.normal(0, 1, 3)), **rows})
        found += [OverBest("x", "own", "grid *").of(table, seed) for seed in range(3)]
    assert np.mean(found) == pytest.approx(0, abs=0.1)


def test_only_rows_that_cost_no_more_with_the_same_seed_are_compared():
    cost = {"own": [2.0, 2.0], "cheap": [1.0, 2.0], "dear": [3.0, 1.5]}
    table = Table(x={"own": [5.0, 5.0], "cheap": [4.0, 4.0], "dear": [9.0, 9.0]}, cost=cost)
    assert OverBest("x", "own", "*", cost="cost").of(table, 0) == 1
    assert OverBest("x", "own", "*", cost="cost").of(table, 1) == -4
    assert OverBest("x", "own", "*").of(table, 0) == -4
    assert math.isnan(OverBest("x", "cheap", "dear", cost="cost").of(table, 0))
