"""Numbers of all trials at once, beside those of each trial alone."""

import math

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from growsearch import growths, read_study, summarize
from growsearch.study.stretches import Stretches

lists = st.lists(
    st.lists(st.sampled_from([0.0, 1.0, 2.0, -1.0, math.nan]), min_size=1, max_size=5), max_size=5
)


@given(lists)
def test_numbers_of_stretches_are_those_of_each_list(values):
    """Between the lists is a row that is in none of them."""
    flat = [number for one in values for number in [*one, 9.0]]
    lengths = np.array([len(one) for one in values], dtype=int)
    ends = np.cumsum(lengths + 1) - 1
    found = Stretches.between(ends - lengths, ends)
    mine = np.array(flat, dtype=float)[found.rows]
    assert found.sum(mine).tolist() == [float(np.nansum(one)) for one in values]
    np.testing.assert_array_equal(found.most(mine), [np.max(one) for one in values])
    first = [one.index(2.0) if 2.0 in one else math.nan for one in values]
    np.testing.assert_array_equal(found.first(mine == 2.0), first)


@pytest.fixture(scope="module")
def study():
    """Trials whose networks grow up to three times, some of their losses missing or infinite."""
    whole = read_study(ROOT / "analysis/studies/gpt_growth")
    random = np.random.default_rng(0)
    losses = whole["val_loss"].to_numpy(copy=True)
    losses[random.choice(len(losses), 12, replace=False)] = math.nan
    losses[random.choice(len(losses), 6, replace=False)] = math.inf
    return whole.assign(val_loss=losses, reused=random.random(len(losses)) < 0.3)


def test_each_trial_has_the_numbers_that_it_has_alone_in_any_order_of_the_trials(study):
    parts = [part for _, part in study.groupby("trial_id")]
    alone = pd.concat([summarize(part) for part in parts], ignore_index=True)
    for table in (study, pd.concat(parts[::-1])):
        pd.testing.assert_frame_equal(summarize(table), alone, check_dtype=False)
    expected = pd.concat([growths(part) for part in parts], ignore_index=True)
    pd.testing.assert_frame_equal(growths(pd.concat(parts[::-1])), expected)


def test_what_was_paid_is_the_sum_over_the_epochs_that_were_trained(study):
    table = summarize(study).set_index("trial_id")
    for name, trial in study.groupby("trial_id"):
        flops = np.diff(trial["train_flops"], prepend=0.0)
        trained = ~trial["reused"].to_numpy()
        row = table.loc[name]
        assert row["paid_epochs"] == trained.sum()
        assert row["paid_flops"] == pytest.approx(flops[trained].sum())
        assert row["paid_seconds"] == pytest.approx(trial["seconds"][trained].sum())
        best = trial["val_loss"].to_numpy()
        assert row["best_epoch"] == 1 + int(np.nanargmin(best))


def to_trend(epochs, losses):
    """By numpy's fit of a line."""
    half, x = len(losses) // 2, np.log(epochs)
    if len(losses) - half < 4 or not np.isfinite(losses[half:]).all():
        return math.nan
    above = losses - np.polyval(np.polyfit(x[half:], losses[half:], 1), x)
    back = above <= above[half:].max() + 1e-9 * np.abs(losses).max()
    return 1 + float(back.argmax()) if back.any() else math.nan


def test_mixing_times_are_those_of_lines_that_numpy_fits(study):
    found = growths(study)
    assert found["mixing_to_trend"].notna().sum() > 5
    for row in found.itertuples():
        trial = study[study["trial_id"] == row.trial_id]
        losses, epochs = trial["val_loss"].to_numpy(), trial["epoch"].to_numpy()
        later = trial["grew"].to_numpy() & (epochs > row.epoch)
        end = epochs[later].min() if later.any() else len(epochs)
        after = losses[row.epoch : end]
        expected = to_trend(epochs[row.epoch : end], after)
        assert row.mixing_to_trend == expected or (
            math.isnan(expected) and math.isnan(row.mixing_to_trend)
        )
        best = np.nanmin(losses[: row.epoch])
        back = [n for n, loss in enumerate([row.grown_val_loss, *after]) if loss <= best]
        assert row.mixing_to_best == back[0] if back else math.isnan(row.mixing_to_best)
