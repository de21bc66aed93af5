"""Loss jumps and mixing times, against loops over the same losses."""

import math

import pandas as pd
import pytest

from growsearch.study.growths import LEAST_TREND, growths


def study(losses, grown, name="a"):
    """A trial of these validation losses; `grown` has the loss after each growth by its epoch."""
    depth, rows = 1, []
    for epoch, loss in enumerate(losses, start=1):
        rows.append(
            {
                "trial_id": name, "epoch": epoch, "architecture": str(depth), "val_loss": loss,
                "grew": epoch in grown, "grown_val_loss": grown.get(epoch),
            }
        )  # fmt: skip
        depth += epoch in grown
    return pd.DataFrame(rows)


def first(losses, level):
    return next((k for k, loss in enumerate(losses, start=1) if loss <= level), math.nan)


def test_the_jump_is_the_loss_after_the_growth_minus_the_loss_before():
    (row,) = growths(study([3.0, 2.0, 2.5, 1.5], {2: 2.75})).to_dict("records")
    assert (row["epoch"], row["from_architecture"], row["to_architecture"]) == (2, "1", "2")
    assert (row["val_loss"], row["grown_val_loss"], row["loss_jump"]) == (2.0, 2.75, 0.75)


def test_the_smaller_networks_best_is_that_before_the_growth_not_its_last():
    losses = [3.0, 1.8, 2.0, 2.4, 1.9, 1.7, 1.0]
    (row,) = growths(study(losses, {3: 2.6})).to_dict("records")
    assert row["mixing_to_best"] == first(losses[3:], 1.8) == 3


def test_a_growth_that_loses_nothing_has_mixed_at_once_and_one_that_is_never_back_has_not():
    (at_once,) = growths(study([2.0, 1.0, 1.5], {2: 1.0})).to_dict("records")
    assert at_once["mixing_to_best"] == 0
    (never,) = growths(study([2.0, 1.0, 1.5], {2: 3.0})).to_dict("records")
    assert math.isnan(never["mixing_to_best"])


def test_on_a_line_in_the_logarithm_of_the_epoch_only_the_start_is_off_the_trend():
    """Loss 5 - log(epoch), but 0.5 and 0.2 above it in the first two epochs after the growth."""
    losses = [5 - math.log(epoch) for epoch in range(1, 21)]
    losses[6] += 0.5
    losses[7] += 0.2
    table = growths(study(losses, {6: 6.0}))
    assert table["mixing_to_trend"].tolist() == [3]


def test_the_trend_is_that_of_the_last_half_and_allows_its_scatter():
    tail = [0.01 * (-1) ** k for k in range(10)]
    start = [0.3, 0.2, 0.1, 0.05, 0.009, 0.5, 0.0, 0.0, 0.0, 0.0]
    losses = [9.0, *(2.0 + off for off in (*start, *tail))]
    (row,) = growths(study(losses, {1: 9.5})).to_dict("records")
    assert row["mixing_to_trend"] == 5
    assert row["mixing_to_best"] == 1


def test_a_deeper_networks_epochs_end_at_the_next_growth():
    losses = [3.0, 2.0, 2.9, 2.8, 1.0, 0.9]
    one, two = growths(study(losses, {2: 3.0, 4: 1.5})).to_dict("records")
    assert math.isnan(one["mixing_to_best"])  # 1.0 is the next network's
    assert two["mixing_to_best"] == 0
    assert math.isnan(one["mixing_to_trend"])


@pytest.mark.parametrize("epochs", range(1, 9))
def test_too_few_epochs_have_no_trend(epochs):
    (row,) = growths(study([2.0, *[1.0] * epochs], {1: 2.0})).to_dict("records")
    assert math.isnan(row["mixing_to_trend"]) == (epochs - epochs // 2 < LEAST_TREND)


def test_a_growth_that_no_epoch_followed_is_no_row_and_other_trials_are_apart():
    both = pd.concat([study([2.0, 1.0], {2: 1.5}, "a"), study([2.0, 1.0], {1: 2.5}, "b")])
    assert growths(both)["trial_id"].tolist() == ["b"]
    assert growths(study([2.0, 1.0], {})).empty
