import math

import numpy as np
import pandas as pd
import pytest

from growsearch.study.importance import LEAST_TRIALS, importances


def options(n: int) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    return pd.DataFrame({
        "lr": draw.uniform(0.01, 0.1, n), "policy": draw.choice(["fixed", "none"], n),
        "noise": draw.uniform(0, 1, n), "same": "x",
        "rtol": [None if i % 3 == 0 else 1.1 for i in range(n)],
    })  # fmt: skip


def test_an_option_that_decides_comes_before_one_that_decides_less():
    table = options(60)
    number = 10 * (table["policy"] == "fixed") + 20 * table["lr"]
    found = importances(table, number.tolist())
    assert found.options[:2] == ["policy", "lr"]
    assert found.mean[0] > 10 * found.mean[1] > 0
    assert abs(found.mean[found.options.index("noise")]) < 0.01
    assert "same" not in found.options
    assert found.explained > 0.95
    assert importances(table, number.tolist()) == found  # nothing is drawn anew


def test_what_is_missing_is_a_value_of_its_own():
    table = options(60)
    number = table["rtol"].isna().astype(float)
    assert importances(table, number.tolist()).options[0] == "rtol"


def test_too_few_trials_or_numbers_that_do_not_vary_have_none():
    few = options(LEAST_TRIALS - 1)
    assert importances(few, list(range(LEAST_TRIALS - 1))) is None
    table = options(30)
    assert importances(table, [1.0] * 30) is None
    assert importances(table[["same"]], list(range(30))) is None
    unknown = [float("nan")] * 25 + [1.0, 2.0, 3.0, 4.0, 5.0]
    assert importances(table, unknown) is None


@pytest.mark.parametrize("value", [math.inf, -math.inf, 1e300, -1e300])
def test_an_option_may_be_infinite_or_beyond_float32(value):
    """A value that is far away, or missing, counts as its place among the others does."""
    table = options(60)
    number = table["rtol"].isna().astype(float).tolist()
    far = importances(table.assign(rtol=table["rtol"].fillna(value).astype(float)), number)
    assert far == importances(table.assign(rtol=table["rtol"].fillna(2.0 * np.sign(value))), number)


@pytest.mark.parametrize("value", [1.1, 5e7, 1e300, -1e300])
def test_what_is_missing_is_below_numbers_of_any_size(value):
    table = options(60)
    number = table["rtol"].isna().astype(float).tolist()
    assert importances(table.assign(rtol=table["rtol"] * value), number).options[0] == "rtol"
