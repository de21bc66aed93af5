"""The papers' comparisons from a finished study: each a table from `summarize`'s trials."""

import pandas as pd

from growsearch.study.pareto import is_pareto_optimal
from growsearch.study.results import config_of
from growsearch.trial.choices import LIPGROW
from growsearch.trial.errors import InputError
from growsearch.trial.from_scratch import from_scratch
from growsearch.trial.status import Status

FOUND_COLUMNS = [
    "trial_id", "policy", "initializer", "interval", "seed", "found", "epochs", "ppe",
    "val_accuracy", "val_delta", "test_accuracy", "test_delta", "growth_ended",
]  # fmt: skip


def growth_timing(trials: pd.DataFrame) -> pd.DataFrame:
    """When to grow first: LipGrow's Figure 4, a row a first growth epoch that was tried.

    Columns: policy, first_growth, first_growth_std, error (percent, mean of 100 - validation
    accuracy at the last epoch), error_std (over seeds, nan for one), trials. The last row, policy
    "lipgrow", is LipGrow's own choice, with mean and deviation of what it chose; the others, policy
    "fixed", are the grid. Raises InputError if the study lacks either.
    """
    grown = _completed(trials)[["config/policy", "growth_epochs", "val_accuracy"]]
    grown = grown[grown["growth_epochs"] != ""]
    first = grown["growth_epochs"].str.split().str[0].astype(int)
    grown = grown.assign(first_growth=first, error=100 - grown["val_accuracy"])
    fixed = _of(grown, ("fixed",), "growth epochs on a grid")
    chosen = _of(grown, LIPGROW, "growth epochs chosen by LipGrow")
    grid = fixed.groupby("first_growth")["error"].agg(["mean", "std", "count"]).reset_index()
    grid.columns = pd.Index(["first_growth", "error", "error_std", "trials"])
    own = {
        "policy": "lipgrow",
        "first_growth": chosen["first_growth"].mean(),
        "first_growth_std": chosen["first_growth"].std(),
        "error": chosen["error"].mean(),
        "error_std": chosen["error"].std(),
        "trials": len(chosen),
    }
    grid = grid.assign(policy="fixed", first_growth_std=float("nan"))
    table = pd.concat([grid, pd.DataFrame([own])], ignore_index=True)
    return table[["policy", "first_growth", "first_growth_std", "error", "error_std", "trials"]]


def growth_schedules(trials: pd.DataFrame) -> pd.DataFrame:
    """What schedules cost and give: LipGrow's Figure 5, a row a completed trial, cheapest first.

    Columns: schedule ("sampled" for policy "fixed", "hand-tuned", "lipgrow"), growth_epochs, ppe,
    best_val_accuracy (percent), pareto_optimal. Raises InputError if no trial is complete.
    """
    completed = _completed(trials)
    names = {"fixed": "sampled", "hand-tuned": "hand-tuned"} | dict.fromkeys(LIPGROW, "lipgrow")
    table = completed.assign(
        schedule=completed["config/policy"].map(names).fillna("vanilla"),
        pareto_optimal=is_pareto_optimal(completed, accuracy="best_val_accuracy"),
    ).sort_values(["ppe", "trial_id"], ignore_index=True)
    return table[["schedule", "growth_epochs", "ppe", "best_val_accuracy", "pareto_optimal"]]


def found_networks(trials: pd.DataFrame) -> pd.DataFrame:
    """What growing has found, against training it from scratch: AutoGrow's tables, a row a trial.

    Columns: trial_id, policy, initializer, interval, seed (the architecture it started from),
    found, growth_ended (why: see `summarize`), epochs, ppe, val_accuracy and test_accuracy
    (percent, at the last epoch), and for both val_delta and test_delta: percentage points above the
    trial from scratch of the same seed and data, nan if the study has none (`growsearch search
    --from-scratch` trains them).
    """
    completed = trials[trials["status"] == Status.COMPLETED]
    never = completed["config/policy"] == "none"
    scratch = {config_of(trial).digest: trial for _, trial in completed[never].iterrows()}
    rows = []
    for _, trial in completed[~never].iterrows():
        config = config_of(trial)
        baseline = scratch.get(from_scratch(config, trial["architecture"]).digest)
        row = {
            "trial_id": trial["trial_id"],
            "policy": config.policy,
            "initializer": config.initializer,
            "interval": config.interval,
            "seed": config.architecture,
            "found": trial["architecture"],
            "epochs": trial["epochs"],
            "ppe": trial["ppe"],
        }
        row["growth_ended"] = trial["growth_ended"]
        for split in ("val", "test"):
            accuracy = trial[f"{split}_accuracy"]
            row[f"{split}_accuracy"] = accuracy
            known = float("nan") if baseline is None else baseline[f"{split}_accuracy"]
            row[f"{split}_delta"] = accuracy - known
        rows.append(row)
    return pd.DataFrame(rows, columns=FOUND_COLUMNS)


def _completed(trials: pd.DataFrame) -> pd.DataFrame:
    completed = trials[trials["status"] == Status.COMPLETED]
    if completed.empty:
        raise InputError("the study has no completed trial to compare; let its search end")
    return completed


def _of(trials: pd.DataFrame, policies: tuple[str, ...], what: str) -> pd.DataFrame:
    found = trials[trials["config/policy"].isin(policies)]
    if found.empty:
        raise InputError(
            f"the study has no trial with {what} (policy {' or '.join(policies)}); search a space "
            "like search_spaces/first_growth_grid.py"
        )
    return found
