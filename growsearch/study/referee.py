"""The growing schedules of a referee study beside its static networks."""

from itertools import pairwise
from typing import Any

import pandas as pd

from growsearch.study.equal_cost import StaticNetworks, static_over_whole_horizon, trial_seconds
from growsearch.study.summary import summarize
from growsearch.trial.errors import InputError
from growsearch.trial.status import Status

ONE_JUMP, DOUBLINGS, ONE_MORE = "one jump", "doublings", "one block more"
FACTORS = (
    "lr_schedule", "pattern", "start", "initializer", "placement", "state", "growth_epochs",
)  # fmt: skip
"""What schedules of a referee study differ in."""
NONE = "-"
"""Where a schedule has none, as clones have no place."""
TARGETS = "config/growth_architectures"
"""The column of what a schedule grows to; empty for a policy that decides as it sees."""
TEST = "metric/test_loss"
"""The column of the test data's loss, where a task has one."""


def schedules(study: pd.DataFrame) -> pd.DataFrame:
    """A row for each completed trial of `read_study`'s table that a schedule grows to full depth.

    A schedule says beforehand when to grow and to what. Full depth is that of the deepest static
    trials (policy "none"), of which there are several horizons. Columns: trial_id, seed, FACTORS,
    val_loss (nats a token) and, beside the static networks of equal seed and lr_schedule,

    - flops: the trial's training FLOPs as a share of the deepest one's over the whole horizon;
    - at_steps: val_loss minus that of the deepest one over the whole horizon;
    - at_flops: val_loss minus that of the best static network for at most as many FLOPs, as
      StaticNetworks chooses it;
    - at_whole: val_loss minus that of the best static network for at most the FLOPs of the deepest
      one over the whole horizon;
    - seconds, at_seconds: the same of training seconds, of the fastest epoch of each network;
    - test_loss, test_at_steps, test_at_steps_percent, test_at_flops, test_at_whole: the same of the
      test loss, if it is recorded.

    Raises InputError if there are no such trials, or static ones are missing.
    """
    trials = summarize(study)
    trials["train_seconds"] = trials["trial_id"].map(trial_seconds(study))
    trials = trials[trials["status"] == Status.COMPLETED]
    static = trials[trials["config/policy"] == "none"]
    if static.empty:
        raise InputError("the study has no completed static trial (policy none); add some")
    deepest = max(static["architecture"], key=_blocks)
    targets = trials.get(TARGETS, pd.Series(index=trials.index, dtype=object))
    grown = trials[targets.notna() & (trials["architecture"] == deepest)]
    if grown.empty:
        raise InputError(
            "the study has no completed trial that grows by a schedule (policy fixed) to "
            f"{deepest}, the depth of its deepest static one; add some"
        )
    same = ["config/lr_schedule", "config/seed"]
    # of its hundreds of columns: each trial selects rows of them
    losses = [name for name in ("val_loss", TEST) if name in trials]
    compared = ["architecture", "epochs", "train_flops", "train_seconds", *losses, *same]
    by_pair = dict(iter(static[compared].groupby(same)))
    of_any_depth = StaticNetworks(static[compared])
    rows = []
    for _, trial in grown.iterrows():
        whole = static_over_whole_horizon(trial, by_pair.get(tuple(trial[same]), static[:0]))
        rows.append(_row(trial, whole, of_any_depth, losses))
    return pd.DataFrame(rows)


def static_networks(study: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The completed static trials beside `schedules`' table of the same study.

    Columns: lr_schedule, seed, architecture, epochs, flops (a share, as in `table`), val_loss and,
    if it is recorded, test_loss.
    """
    trials = summarize(study)
    flops = trials.set_index("trial_id")["train_flops"]
    # of one network and horizon, so for all trials the same
    whole = flops[table["trial_id"].iloc[0]] / table["flops"].iloc[0]
    static = trials[
        (trials["status"] == Status.COMPLETED) & (trials["config/policy"] == "none")
    ].assign(flops=trials["train_flops"] / whole)
    named = {"config/lr_schedule": "lr_schedule", "config/seed": "seed", TEST: "test_loss"}
    shown = [*named.values(), "architecture", "epochs", "flops", "val_loss"]
    return static.rename(columns=named).reindex(columns=shown).dropna(axis=1, how="all")


def _row(
    trial: "pd.Series", whole: "pd.Series", static: StaticNetworks, losses: list[str]
) -> dict[str, Any]:
    path = [str(trial["config/architecture"]), *str(trial[TARGETS]).split()]
    row = {
        "trial_id": trial["trial_id"],
        "seed": trial["config/seed"],
        "lr_schedule": trial["config/lr_schedule"],
        "pattern": _pattern([_blocks(architecture) for architecture in path]),
        "start": min(path[0].split("-"), key=int),
        "initializer": trial["config/initializer"],
        "placement": NONE if pd.isna(trial["config/placement"]) else trial["config/placement"],
        "state": trial["config/momentum_on_growth"],
        "growth_epochs": trial["growth_epochs"],
        "share": int(trial["growth_epochs"].split()[-1]) / trial["epochs"],
        "flops": trial["train_flops"] / whole["train_flops"],
        "seconds": trial["train_seconds"] / whole["train_seconds"],
        "at_seconds": trial["val_loss"] - static.best_at(trial, "train_seconds", "val_loss"),
    }
    for loss in losses:
        begins = "test_" if loss == TEST else ""
        compared = _compared(trial, whole, static, loss)
        row[loss.removeprefix("metric/")] = trial[loss]
        row |= {f"{begins}{name}": number for name, number in compared.items()}
    return row


def _compared(
    trial: "pd.Series", whole: "pd.Series", static: StaticNetworks, loss: str
) -> dict[str, float]:
    return {
        "at_steps": trial[loss] - whole[loss],
        "at_steps_percent": 100 * (trial[loss] / whole[loss] - 1),
        "at_flops": trial[loss] - static.best_at(trial, "train_flops", loss),
        "at_whole": trial[loss] - static.best_at(whole, "train_flops", loss),
    }


def _blocks(architecture: str) -> int:
    return sum(map(int, architecture.split("-")))


def _pattern(depths: list[int]) -> str:
    if len(depths) == 2:
        return ONE_JUMP
    if all(after == 2 * before for before, after in pairwise(depths)):
        return DOUBLINGS
    return ONE_MORE
