"""One late growth compared with static networks at equal steps, FLOPs and seconds (Bu 2025)."""

import pandas as pd

from growsearch.study.equal_cost import (
    StaticNetworks,
    at_cost,
    static_over_whole_horizon,
    trial_seconds,
)
from growsearch.study.summary import summarize
from growsearch.study.verdicts import half_width
from growsearch.trial.errors import InputError
from growsearch.trial.status import Status


def late_growth(study: pd.DataFrame) -> pd.DataFrame:
    """What one growth at a share of the horizon costs in loss, a row for each way to grow.

    `study` is a table of `read_study` with trials that grow once, and static ones (policy "none")
    of the final depth and several horizons. Trials of equal seed and schedule are paired. Columns:

    - lr_schedule, initializer, share (of the epochs before the growth), seeds;
    - val_loss and val_loss_std: at the last epoch, nats a token;
    - jump: the loss_jump of `growths`;
    - flops, seconds: of training, as shares of the static network's over the whole horizon. Seconds
      are those of the fastest epoch of each depth, times the epochs;
    - at_steps, at_flops, at_seconds: the loss minus that of the static network at equal steps, at
      equal FLOPs and at equal seconds; `..._error` is half the width of the 95 % interval over the
      seeds (Student's t). Between horizons the static loss is interpolated over log FLOPs or
      seconds; NaN outside of them;
    - at_flops_of_any: the loss minus that of the best static network of any depth for at most as
      many FLOPs, as StaticNetworks chooses it, and `..._error`.

    Raises InputError if there are no such trials.
    """
    trials = summarize(study)
    trials["train_seconds"] = trials["trial_id"].map(trial_seconds(study))
    completed = trials[trials["status"] == Status.COMPLETED]
    grown = completed[completed["growth_epochs"].str.fullmatch(r"\d+")]
    static = completed[completed["config/policy"] == "none"]
    if grown.empty or static.empty:
        raise InputError(
            f"the study has {len(grown)} completed trials that grew once and {len(static)} static "
            "ones; it needs both, like those of search_spaces/late_growth.py"
        )
    any_depth = StaticNetworks(static)
    compared = pd.DataFrame([_compared(trial, static, any_depth) for _, trial in grown.iterrows()])
    by = ["lr_schedule", "initializer", "share"]
    # trials of one seed that differ in what is no column here are not independent
    compared = compared.groupby([*by, "seed"], as_index=False).mean()
    rows = []
    for key, group in compared.groupby(by, sort=True):
        row = dict(zip(by, key, strict=True)) | {"seeds": len(group)}
        row |= {"val_loss": group["val_loss"].mean(), "val_loss_std": group["val_loss"].std()}
        row |= {name: group[name].mean() for name in ("jump", "flops", "seconds")}
        for name in ("at_steps", "at_flops", "at_seconds", "at_flops_of_any"):
            row |= {name: group[name].mean(), f"{name}_error": half_width(group[name])}
        rows.append(row)
    return pd.DataFrame(rows)


def _compared(
    trial: "pd.Series", static: pd.DataFrame, any_depth: StaticNetworks
) -> dict[str, object]:
    same = ["config/lr_schedule", "config/seed", "architecture"]
    paired = static[(static[same] == trial[same]).all(axis=1)].sort_values("epochs")
    whole = static_over_whole_horizon(trial, paired)
    at_equal = {
        # the horizons of late_growth.py are rounded to epochs, and so a little below or above
        cost: at_cost(trial[cost], list(paired[cost]), list(paired["val_loss"]), slack=0.03)
        for cost in ("train_flops", "train_seconds")
    }
    return {
        "seed": trial["config/seed"],
        "lr_schedule": trial["config/lr_schedule"],
        "initializer": trial["config/initializer"],
        "share": int(trial["growth_epochs"]) / trial["epochs"],
        "val_loss": trial["val_loss"],
        "jump": trial["loss_jump"],
        "flops": trial["train_flops"] / whole["train_flops"],
        "seconds": trial["train_seconds"] / whole["train_seconds"],
        "at_steps": trial["val_loss"] - whole["val_loss"],
        "at_flops": trial["val_loss"] - at_equal["train_flops"],
        "at_seconds": trial["val_loss"] - at_equal["train_seconds"],
        "at_flops_of_any": trial["val_loss"] - any_depth.best_at(trial, "train_flops", "val_loss"),
    }
