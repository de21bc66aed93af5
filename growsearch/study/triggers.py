"""When LipGrow's rule grows, beside growths at fixed shares of the horizon at equal FLOPs."""

import math

import pandas as pd

from growsearch.study.equal_cost import at_cost
from growsearch.study.summary import summarize
from growsearch.study.verdicts import half_width
from growsearch.trial.errors import InputError
from growsearch.trial.status import Status

_SAME = ["config/lr_schedule", "config/initializer", "config/seed"]


def triggers(study: pd.DataFrame) -> pd.DataFrame:
    """What LipGrow's rule chooses and what that is worth, a row for each rtol and way to grow.

    `study` is a table of `read_study` with completed trials of policy "lipschitz" and of policy
    "fixed", which grow through the same depths. Columns:

    - lr_schedule, initializer, rtol, seeds;
    - growths: the epochs after which the trials grew, the mean of each; growths_std the largest of
      their standard deviations;
    - forced: the share of growths that the rule's reserve forced;
    - val_loss and val_loss_std: at the last epoch;
    - flops: of training, as a share of what the final network over all epochs would take;
    - at_flops: the loss in percent minus that of growths at fixed shares, of equal seed, schedule
      and initializer, interpolated over log FLOPs to equal FLOPs; at_flops_error is half the width
      of the 95 % interval over the seeds (Student's t), and compared how many seeds it is of: a
      trial that costs more or less than all fixed ones is not compared.

    Raises InputError if there are no such trials.
    """
    trials = summarize(study)
    trials = trials[trials["status"] == Status.COMPLETED]
    own = trials[trials["config/policy"] == "lipschitz"]
    fixed = trials[trials["config/policy"] == "fixed"]
    if own.empty or fixed.empty:
        raise InputError(
            f"the study has {len(own)} completed trials of policy lipschitz and {len(fixed)} of "
            "policy fixed; it needs both, like those of search_spaces/gpt_trigger.py"
        )
    whole = _whole_flops(study[study["trial_id"].isin(own["trial_id"])])
    forced = study["decision"].fillna("").str.contains("forced").groupby(study["trial_id"]).sum()
    curves = {
        key: group.groupby("train_flops")["val_loss"].mean() for key, group in fixed.groupby(_SAME)
    }
    own = own.assign(
        flops=own["train_flops"] / own["trial_id"].map(whole),
        forced=own["trial_id"].map(forced),
        at_flops=[_beside(trial, curves.get(tuple(trial[_SAME]))) for _, trial in own.iterrows()],
    )
    rows = []
    for (schedule, initializer, rtol), group in own.groupby(
        ["config/lr_schedule", "config/initializer", "config/rtol"]
    ):
        epochs = pd.DataFrame([[int(n) for n in g.split()] for g in group["growth_epochs"]])
        seeds = group.groupby("config/seed")[["val_loss", "flops", "at_flops"]].mean()
        compared = seeds["at_flops"].dropna()
        rows.append({
            "lr_schedule": schedule, "initializer": initializer, "rtol": rtol, "seeds": len(seeds),
            "growths": " ".join(f"{n:.1f}" for n in epochs.mean()),
            "growths_std": epochs.std().max(),
            "forced": group["forced"].sum() / max(1, epochs.notna().sum().sum()),
            "val_loss": seeds["val_loss"].mean(), "val_loss_std": seeds["val_loss"].std(),
            "flops": seeds["flops"].mean(),
            "at_flops": compared.mean(), "at_flops_error": half_width(compared),
            "compared": len(compared),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _whole_flops(study: pd.DataFrame) -> pd.Series:
    """By trial, the FLOPs of its last epoch times its epochs."""
    ordered = study.sort_values("epoch").groupby("trial_id")["train_flops"]
    last = ordered.apply(lambda flops: flops.diff().fillna(flops).iloc[-1])
    return last * ordered.size()


def _beside(trial: "pd.Series", curve: "pd.Series | None") -> float:
    """The trial's loss in percent of that of fixed growths for as many FLOPs, minus 100."""
    if curve is None:
        return math.nan
    there = at_cost(trial["train_flops"], list(curve.index), list(curve))
    return float(100 * (trial["val_loss"] / there - 1))
