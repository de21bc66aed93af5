"""What each growth of a study cost and gained in validation loss: its jump and its mixing times."""

import math

import numpy as np
import pandas as pd

from growsearch.study.stretches import Floats, Stretches, by_trial

LEAST_TREND = 4
"""Epochs that a trend is made of at least."""


def growths(study: pd.DataFrame) -> pd.DataFrame:
    """A row for each growth of `read_study`'s table, after which epochs followed.

    - trial_id; epoch, after which the network grew; from_architecture, to_architecture;
    - val_loss and grown_val_loss: just before the growth and just after it, and loss_jump, the
      second minus the first;
    - mixing_to_best: how many epochs after the growth the validation loss was for the first time at
      most the lowest that the trial had before it; 0 if grown_val_loss was;
    - mixing_to_trend: how many epochs after the growth it was for the first time at most where the
      deeper network's own later trend would have had it. The trend is the least-squares line of the
      loss against the logarithm of the epoch, over the last half of the deeper network's epochs. A
      loss is at the trend if it is above the line by no more than the losses of that half are.

    The deeper network's epochs end at the next growth. Mixing times are NaN if the loss was never
    back until then, and those to the trend also if that half has less than LEAST_TREND epochs. A
    decay of the learning rate that lies in that half is part of the trend: compare with the same
    schedule without growth.
    """
    study, trials = by_trial(study)
    losses, numbers, grown = (
        study[n].to_numpy(dtype=float, na_value=math.nan)
        for n in ("val_loss", "epoch", "grown_val_loss")
    )
    grew = np.flatnonzero(study["grew"].to_numpy(dtype=bool))
    trial_ends = np.append(trials.starts[1:], len(study))[trials.of[grew]]
    ends = np.minimum(trial_ends, np.append(grew[1:] + 1, len(study)))
    grew, ends = grew[ends > grew + 1], ends[ends > grew + 1]
    after = Stretches.between(grew + 1, ends)
    so_far = pd.Series(losses).groupby(trials.of).cummin()  # NaN where the loss is
    least = so_far.groupby(trials.of).ffill().to_numpy()
    names, depths = study["trial_id"], study["architecture"]
    return pd.DataFrame({
        "trial_id": names.iloc[grew].array, "epoch": numbers[grew].astype(int),
        "from_architecture": depths.iloc[grew].array,
        "to_architecture": depths.iloc[grew + 1].array,
        "val_loss": losses[grew], "grown_val_loss": grown[grew],
        "loss_jump": grown[grew] - losses[grew],
        "mixing_to_best": _to_best(after, losses[after.rows], grown[grew], least[grew]),
        "mixing_to_trend": _to_trend(after, numbers[after.rows], losses[after.rows]),
    })  # fmt: skip


def _to_best(after: Stretches, losses: Floats, grown: Floats, best: Floats) -> Floats:
    return np.where(grown <= best, 0.0, after.first(losses <= best[after.of]) + 1)


def _to_trend(after: Stretches, epochs: Floats, losses: Floats) -> Floats:
    """Epochs until the loss is on its trend, a line through the later half of each stretch."""
    place = np.arange(len(after.of)) - after.starts[after.of]
    lengths = after.sum(np.ones(len(after.of)))
    later = place >= (lengths // 2)[after.of]
    count = after.sum(later)
    x = np.log(epochs)
    mean_x, mean_y = (after.sum(values, later) / count for values in (x, losses))
    from_mean = np.where(later, x - mean_x[after.of], 0.0)
    with np.errstate(all="ignore"):  # stretches that are too short, or have no finite loss
        slope = after.sum(from_mean * losses, later) / after.sum(from_mean**2)
        above = losses - (slope[after.of] * (x - mean_x[after.of]) + mean_y[after.of])
        rounding = 1e-9 * after.most(np.abs(losses))
        highest = after.most(np.where(later, above, -np.inf)) + rounding
        known = (count >= LEAST_TREND) & (after.sum(later & ~np.isfinite(losses)) == 0)
        found = after.first(above <= highest[after.of]) + 1
    return np.where(known, found, np.nan)
