"""One late growth compared with static networks at equal steps, FLOPs and seconds (Bu 2025)."""

import math

import numpy as np
import pandas as pd

from growsearch.study.results import summarize
from growsearch.study.verdicts import half_width
from growsearch.trial.errors import InputError


def late_growth(study: pd.DataFrame) -> pd.DataFrame:
    """What one growth at a share of the horizon costs in loss, a row for each way to grow.

    `study` is a table of `read_study` with trials that grow once, and static ones (policy "none")
    of the final depth and several horizons. Trials of equal seed and schedule are paired. Columns:

    - lr_schedule, initializer, share (of the epochs before the growth), seeds;
    - val_loss and val_loss_std: at the last epoch, nats a token;
    - jump: the loss_jump of `growths`;
    - flops, seconds: of training, as shares of the static network's over the whole horizon. Seconds
      are the median time of an epoch of each depth, times the epochs;
    - at_steps, at_flops, at_seconds: the loss minus that of the static network at equal steps, at
      equal FLOPs and at equal seconds; `..._error` is half the width of the 95 % interval over the
      seeds (Student's t). Between horizons the static loss is interpolated over log FLOPs or
      seconds; NaN outside of them.

    Raises InputError if there are no such trials.
    """
    trials = _with_seconds(study)
    completed = trials[trials["status"] == "completed"]
    grown = completed[completed["growth_epochs"].str.fullmatch(r"\d+")]
    static = completed[completed["config/policy"] == "none"]
    if grown.empty or static.empty:
        raise InputError(
            f"the study has {len(grown)} completed trials that grew once and {len(static)} static "
            "ones; it needs both, like those of search_spaces/late_growth.py"
        )
    compared = pd.DataFrame([_compared(trial, static) for _, trial in grown.iterrows()])
    by = ["lr_schedule", "initializer", "share"]
    rows = []
    for key, group in compared.groupby(by, sort=True):
        row = dict(zip(by, key, strict=True)) | {"seeds": len(group)}
        row |= {"val_loss": group["val_loss"].mean(), "val_loss_std": group["val_loss"].std()}
        row |= {name: group[name].mean() for name in ("jump", "flops", "seconds")}
        for name in ("at_steps", "at_flops", "at_seconds"):
            row |= {name: group[name].mean(), f"{name}_error": half_width(group[name])}
        rows.append(row)
    return pd.DataFrame(rows)


def _with_seconds(study: pd.DataFrame) -> pd.DataFrame:
    """The trials, with the seconds of training that the median epoch of each depth takes."""
    median = study.groupby("architecture")["train_seconds"].median()
    seconds = study["architecture"].map(median).groupby(study["trial_id"]).sum()
    trials = summarize(study).set_index("trial_id")
    return trials.assign(train_seconds=seconds).reset_index()


def _compared(trial: "pd.Series", static: pd.DataFrame) -> dict[str, object]:
    same = ["config/lr_schedule", "config/seed", "architecture"]
    paired = static[(static[same] == trial[same]).all(axis=1)].sort_values("epochs")
    whole = paired[paired["epochs"] == trial["epochs"]]
    if whole.empty:
        raise InputError(
            f"trial {trial['trial_id']} has no static one of architecture {trial['architecture']}, "
            f"{trial['epochs']} epochs and equal seed and lr_schedule; add it to the space"
        )
    whole = whole.iloc[0]
    return {
        "lr_schedule": trial["config/lr_schedule"],
        "initializer": trial["config/initializer"],
        "share": int(trial["growth_epochs"]) / trial["epochs"],
        "val_loss": trial["val_loss"],
        "jump": trial["loss_jump"],
        "flops": trial["train_flops"] / whole["train_flops"],
        "seconds": trial["train_seconds"] / whole["train_seconds"],
        "at_steps": trial["val_loss"] - whole["val_loss"],
        "at_flops": trial["val_loss"] - _interpolated(paired, "train_flops", trial),
        "at_seconds": trial["val_loss"] - _interpolated(paired, "train_seconds", trial),
    }


def _interpolated(static: pd.DataFrame, cost: str, trial: "pd.Series") -> float:
    """The loss of the static network that costs as much as the trial."""
    logs = np.log(static[cost].to_numpy(dtype=float))
    losses = static["val_loss"].to_numpy(dtype=float)
    # the horizons of late_growth.py are rounded to epochs, and so a little below or above
    within = math.log(0.97), math.log(1.03)
    wanted = math.log(trial[cost])
    if not logs.min() + within[0] <= wanted <= logs.max() + within[1]:
        return math.nan
    return float(np.interp(wanted, logs, losses))
