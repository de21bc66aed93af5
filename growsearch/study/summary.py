"""One row for each trial of a study."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from growsearch.stopping.cost import summed_costs

if TYPE_CHECKING:
    import pandas as pd  # a local trial writes results on machines without it

    from growsearch.study.stretches import Stretches


def _growth_epochs(study: "pd.DataFrame", trials: "Stretches") -> list[str]:
    """The growth epochs of each trial, like "12 20"."""
    epochs = study["epoch"].to_numpy(dtype=int)
    found: list[list[str]] = [[] for _ in trials.starts]
    for row in np.flatnonzero(study["grew"].to_numpy(dtype=bool)):
        found[trials.of[row]].append(str(epochs[row]))
    return [" ".join(numbers) for numbers in found]


def _growth_ended(study: "pd.DataFrame", trials: "Stretches") -> list[str | None]:
    """Why fine-tuning began, or None, for each trial."""
    decided = ~study["grew"].to_numpy(dtype=bool) & study["decision"].notna().to_numpy()
    rows = np.flatnonzero(decided)
    found: list[str | None] = [None] * len(trials.starts)
    for row, text in zip(rows, study["decision"].iloc[rows], strict=True):
        found[trials.of[row]] = str(text).removeprefix("fine-tunes: ")
    return found


def paid_columns() -> dict[str, str]:
    """By the column of a cost that is summed, the column of what was paid of it."""
    return {cost.result(): f"paid_{name}" for name, cost in summed_costs().items()}


def _of_epochs(study: "pd.DataFrame", column: str, trials: "Stretches") -> "np.ndarray":
    """What each epoch adds to a column that is summed over a trial's epochs."""
    summed = study[column].to_numpy(dtype=float, na_value=math.nan)
    before = np.append(math.nan, summed[:-1])
    before[trials.starts] = math.nan
    return np.where(np.isnan(summed - before), summed, summed - before)


def was_paid(study: "pd.DataFrame") -> "pd.Series":
    """For each row of `read_study`'s table, whether the epoch was trained, not recalled."""
    return ~study["reused"].eq(True)


def _best(study: "pd.DataFrame", trials: "Stretches") -> Any:
    """The row of each trial's best epoch; NaN is no best."""
    accuracies, losses = (
        study[name].to_numpy(dtype=float, na_value=math.nan)
        for name in ("val_accuracy", "val_loss")
    )
    has_accuracy = trials.sum(~np.isnan(accuracies)) > 0
    values = np.where(has_accuracy[trials.of], accuracies, -losses)
    values = np.where(np.isnan(values), -math.inf, values)
    return trials.starts + trials.first(values == trials.most(values)[trials.of]).astype(int)


SUMMARIZED = (
    "architecture", "parameters", "train_flops", "reused", "val_loss", "val_accuracy",
    "test_accuracy", "grew", "grown_val_loss", "decision", "seconds", "status",
)  # fmt: skip
"""Columns that `summarize` needs besides trial_id and epoch; the others it takes as they are."""


def summarize(study: "pd.DataFrame") -> "pd.DataFrame":
    """A table with one row for each trial: the columns of its last epoch, and these:

    - epochs, growth_epochs ("12 20"), growth_ended (why fine-tuning began, or None), seconds (the
      sum over epochs);
    - best_epoch, best_val_accuracy, best_val_loss, test_accuracy_at_best: the epoch of the best
      validation accuracy, or of the lowest loss where there is no accuracy; its network may be
      shallower than the last one;
    - loss_jump, mixing_to_best, mixing_to_trend: of the last growth, as `growths` defines them;
    - paid_epochs, paid_param_epochs, paid_flops, paid_seconds, and likewise of each further cost
      that is summed: what was trained for this trial.

    epochs, param_epochs, train_flops and seconds are nominal: they also count epochs that came from
    a store.
    """
    import pandas as pd

    from growsearch.study.growths import growths
    from growsearch.study.stretches import by_trial

    last_growths = growths(study).drop_duplicates("trial_id", keep="last").set_index("trial_id")
    study, trials = by_trial(study)
    ends = np.append(trials.starts, len(study))[1:] - 1
    last, best = study.iloc[ends], study.iloc[_best(study, trials)]
    paid = was_paid(study).to_numpy(dtype=bool)
    seconds, parameters = (
        study[name].to_numpy(dtype=float, na_value=math.nan) for name in ("seconds", "parameters")
    )
    table = last.drop(columns=["epoch", "grew", "seconds"]).reset_index(drop=True)
    more = {
        "epochs": last["epoch"].to_numpy(dtype=int),
        "growth_epochs": _growth_epochs(study, trials),
        "growth_ended": _growth_ended(study, trials),
        "seconds": trials.sum(seconds),
        "best_epoch": best["epoch"].to_numpy(dtype=int),
        "best_val_accuracy": best["val_accuracy"].array,
        "best_val_loss": best["val_loss"].array,
        "test_accuracy_at_best": best["test_accuracy"].array,
        "paid_epochs": trials.sum(paid).astype(int),
        "paid_param_epochs": trials.sum(parameters, paid).astype(int),
        "paid_flops": trials.sum(_of_epochs(study, "train_flops", trials), paid),
        "paid_seconds": trials.sum(seconds, paid),
    }
    for column, name in paid_columns().items():
        if column in study and name not in more:
            more[name] = trials.sum(_of_epochs(study, column, trials), paid)
    mixing = last_growths[["loss_jump", "mixing_to_best", "mixing_to_trend"]]
    mixing = mixing.reindex(last["trial_id"]).reset_index(drop=True)
    return pd.concat([table, pd.DataFrame(more), mixing], axis=1)
