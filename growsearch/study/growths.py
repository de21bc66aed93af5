"""What each growth of a study cost and gained in validation loss: its jump and its mixing times."""

import math
from typing import Any

import numpy as np
import pandas as pd

LEAST_TREND = 4
"""Epochs that a trend is made of at least."""
COLUMNS = (
    "trial_id", "epoch", "from_architecture", "to_architecture", "val_loss", "grown_val_loss",
    "loss_jump", "mixing_to_best", "mixing_to_trend",
)  # fmt: skip


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
    rows: list[dict[str, Any]] = []
    for name, trial in study.groupby("trial_id", sort=True):
        losses, numbers = (trial[n].to_numpy(dtype=float) for n in ("val_loss", "epoch"))
        grown_losses = trial["grown_val_loss"].to_numpy(dtype=float, na_value=math.nan)
        depths = trial["architecture"].to_numpy()
        grew = np.flatnonzero(trial["grew"].to_numpy(dtype=bool))
        ends = [*(grew[1:] + 1), len(trial)]
        for at, end in zip(grew, ends, strict=False):  # without a growth there is no end
            if end == at + 1:
                continue
            after, grown = losses[at + 1 : end], grown_losses[at]
            values = (
                name, int(numbers[at]), depths[at], depths[at + 1], losses[at], grown,
                grown - losses[at], _to_best(losses[: at + 1], grown, after),
                _to_trend(numbers[at + 1 : end], after),
            )  # fmt: skip
            rows.append(dict(zip(COLUMNS, values, strict=True)))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype(dict.fromkeys(COLUMNS[4:], float) | {"trial_id": study["trial_id"].dtype})


def _to_best(before: np.ndarray, grown: float, after: np.ndarray) -> float:
    best = np.nanmin(before) if not np.isnan(before).all() else math.nan
    return _first(np.array([grown, *after]) <= best)


def _to_trend(epochs: np.ndarray, losses: np.ndarray) -> float:
    half = len(losses) // 2
    x, later = np.log(epochs), losses[half:]
    if len(later) < LEAST_TREND or not np.isfinite(later).all():
        return math.nan
    slope, level = np.polyfit(x[half:], later, 1)
    above = losses - (slope * x + level)
    rounding = 1e-9 * np.abs(losses).max()
    return _first(above <= above[half:].max() + rounding) + 1


def _first(true: np.ndarray) -> float:
    """The first place where it is true; NaN if it is nowhere."""
    return float(true.argmax()) if true.any() else math.nan
