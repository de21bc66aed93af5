"""The papers' comparisons for a finished study; each function takes the table of `summarize`."""

import pandas as pd

from growsearch.policies.lipgrow import LipGrow
from growsearch.study.best import configurations
from growsearch.study.pareto import is_pareto_optimal
from growsearch.study.results import config_of
from growsearch.trial.components import components
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.from_scratch import from_scratch
from growsearch.trial.kinds import Policy
from growsearch.trial.status import Status

FOUND_COLUMNS = [
    "trial_id", "policy", "initializer", "interval", "start", "found", "epochs", "ppe",
    "val_accuracy", "val_delta", "test_accuracy", "test_delta", "growth_ended",
]  # fmt: skip


def growth_timing(trials: pd.DataFrame) -> pd.DataFrame:
    """The error for each first growth epoch (LipGrow, Figure 4).

    Columns: policy; first_growth and first_growth_std (epochs); error (percent, mean of 100 -
    validation accuracy at the last epoch); error_std (over seeds, nan for one trial); trials (their
    number). Each row with policy "fixed" is one first growth epoch of the grid. The last row, with
    policy "lipgrow", has the mean and standard deviation of the epochs that LipGrow chose. Raises
    InputError if the study has no completed trial, no grid, or no LipGrow trial that grew.
    """
    grown = _completed(trials)[["config/policy", "growth_epochs", "val_accuracy"]]
    grown = grown[grown["growth_epochs"] != ""]
    first = grown["growth_epochs"].str.split().str[0].astype(int)
    grown = grown.assign(first_growth=first, error=100 - grown["val_accuracy"])
    fixed = _of(grown, ("fixed",), "growth epochs on a grid")
    lipgrow = [name for name, policy in _policies().items() if issubclass(policy, LipGrow)]
    chosen = _of(grown, tuple(lipgrow), "growth epochs chosen by LipGrow")
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
    """Cost and accuracy of each schedule (LipGrow, Figure 5), one row a schedule, cheapest first.

    Trials that differ in their seeds alone are of one schedule. Only completed trials are included.
    Columns: schedule (the policy's label: "sampled" for policy "fixed", "hand-tuned", "lipgrow",
    "autogrow", "vanilla"); growth_epochs (of each trial where they differ, parted by ";"); ppe
    (parameters per epoch) and best_val_accuracy (percent), means over trials; their deviations
    ppe_std and best_val_accuracy_std (nan for one trial); trials (their number); pareto_optimal (by
    the means). Raises InputError if no trial is complete.
    """
    completed = _completed(trials)
    labels = {name: policy.label or name for name, policy in _policies().items()}
    rows = completed.groupby(configurations(completed), sort=False)
    table = rows.agg(
        schedule=("config/policy", lambda names: labels.get(names.iloc[0], names.iloc[0])),
        growth_epochs=("growth_epochs", lambda epochs: "; ".join(dict.fromkeys(epochs))),
        ppe=("ppe", "mean"),
        ppe_std=("ppe", "std"),
        best_val_accuracy=("best_val_accuracy", "mean"),
        best_val_accuracy_std=("best_val_accuracy", "std"),
        trials=("ppe", "size"),
    )
    table["pareto_optimal"] = is_pareto_optimal(
        table.assign(status=Status.COMPLETED), accuracy="best_val_accuracy"
    )
    return table.sort_values("ppe", kind="stable", ignore_index=True)


def _never_grows(trials: pd.DataFrame) -> pd.Series:
    grows = {name: policy.grows for name, policy in _policies().items()}
    # a policy of a plugin that is not loaded may grow
    return ~trials["config/policy"].map(lambda name: grows.get(name, True)).astype(bool)


def has_twins(trials: pd.DataFrame) -> bool:
    """Whether a completed trial trained from scratch, so that `found_networks` may compare."""
    return bool(_never_grows(trials[trials["status"] == Status.COMPLETED]).any())


def found_networks(trials: pd.DataFrame) -> pd.DataFrame:
    """The networks found by growing, compared with training them from scratch (AutoGrow's tables).

    One row for each completed trial that may grow. Columns: trial_id, policy, initializer,
    interval; start (the architecture that the trial started from); found (the final architecture);
    epochs; ppe (parameters per epoch); val_accuracy and test_accuracy (percent, at the last epoch);
    val_delta and test_delta (the trial's accuracy minus that of the trial that trains the same
    network from scratch with the same random seed and data, percentage points; nan if the study has
    no such trial); growth_ended (why fine-tuning began, or None). `growsearch search
    --from-scratch` trains the trials from scratch.
    """
    completed = trials[trials["status"] == Status.COMPLETED]
    never = _never_grows(completed)
    scratch = {
        config.digest: trial
        for _, trial in completed[never].iterrows()
        if (config := _config_if_known(trial))
    }
    rows = []
    for _, trial in completed[~never].iterrows():
        config, baseline = _config_if_known(trial), None
        if config is not None:
            baseline = scratch.get(from_scratch(config, trial["architecture"]).digest)
        options = config.values() if config is not None else {}
        row = {
            "trial_id": trial["trial_id"],
            "policy": trial["config/policy"],
            "initializer": options.get("initializer"),
            "interval": options.get("interval"),
            "start": trial["config/architecture"],
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


def _policies() -> dict[str, type[Policy]]:
    return {n: cls for n, cls in components("policy").items() if issubclass(cls, Policy)}


def _config_if_known(trial: "pd.Series") -> TrialConfig | None:
    """The trial's configuration; None if it needs a plugin, which reading never loads."""
    try:
        return config_of(trial)
    except InputError:
        return None


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
