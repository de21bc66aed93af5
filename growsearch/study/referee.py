"""Contested claims about growing, each as a number over paired seeds with a verdict."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from growsearch.study.equal_cost import at_cost, static_over_whole_horizon, trial_seconds
from growsearch.study.summary import summarize
from growsearch.study.verdicts import Judged, judge
from growsearch.trial.errors import InputError
from growsearch.trial.status import Status

ONE_JUMP, DOUBLINGS, ONE_MORE = "one jump", "doublings", "one block more"
FACTORS = (
    "lr_schedule", "pattern", "start", "initializer", "placement", "state", "growth_epochs",
)  # fmt: skip
"""What schedules of a referee study differ in."""
NONE = "-"
"""Where a schedule has none, as clones have no place."""
_BUDGETS = ((0.0, 0.5), (0.5, 0.7), (0.7, 0.9))


@dataclass(frozen=True)
class Claim:
    """What someone says of growing, as a number."""

    says: str
    source: str
    unit: str
    numbers: Callable[[pd.DataFrame], tuple[pd.Series, int]]
    """From `schedules`' table the number of each seed, and how many runs it is of."""
    below: float = 0.0
    """The claim is that the number is less than this."""


@dataclass(frozen=True)
class JudgedClaim:
    claim: Claim
    judged: Judged
    """Of the number with its sign turned, so that the claim is that it is more than -below."""
    runs: int


def schedules(study: pd.DataFrame) -> pd.DataFrame:
    """A row for each completed growing trial of `read_study`'s table that ends at full depth.

    Full depth is that of the deepest static trials (policy "none"), of which there are several
    horizons. Columns: trial_id, seed, FACTORS, val_loss (nats a token) and, beside the static
    networks of equal seed and lr_schedule,

    - flops: the trial's training FLOPs as a share of the deepest one's over the whole horizon;
    - at_steps: val_loss minus that of the deepest one over the whole horizon;
    - at_flops: val_loss minus that of the best static network for at most as many FLOPs. Between
      horizons of the deepest one its loss is interpolated over log FLOPs. NaN below all of them;
    - seconds, at_seconds: the same of training seconds, of the fastest epoch of each network.

    Raises InputError if static trials are missing.
    """
    trials = summarize(study)
    trials["train_seconds"] = trials["trial_id"].map(trial_seconds(study))
    trials = trials[trials["status"] == Status.COMPLETED]
    static = trials[trials["config/policy"] == "none"]
    if static.empty:
        raise InputError("the study has no completed static trial (policy none); add some")
    deepest = max(static["architecture"], key=_blocks)
    grown = trials[(trials["growth_epochs"] != "") & (trials["architecture"] == deepest)]
    same = ["config/lr_schedule", "config/seed"]
    # of its hundreds of columns: each trial selects rows of them
    compared = ["architecture", "epochs", "train_flops", "train_seconds", "val_loss", *same]
    by_pair = dict(iter(static[compared].groupby(same)))
    rows = []
    for _, trial in grown.iterrows():
        beside = by_pair.get(tuple(trial[same]), static[:0])
        whole = static_over_whole_horizon(trial, beside)
        rows.append(_row(trial, whole, beside))
    return pd.DataFrame(rows)


def _row(trial: "pd.Series", whole: "pd.Series", static: pd.DataFrame) -> dict[str, Any]:
    path = [str(trial["config/architecture"]), *str(trial["config/growth_architectures"]).split()]
    return {
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
        "val_loss": trial["val_loss"],
        "flops": trial["train_flops"] / whole["train_flops"],
        "at_steps": trial["val_loss"] - whole["val_loss"],
        "at_steps_percent": 100 * (trial["val_loss"] / whole["val_loss"] - 1),
        "at_flops": trial["val_loss"] - _affordable(trial, static, "train_flops"),
        "seconds": trial["train_seconds"] / whole["train_seconds"],
        "at_seconds": trial["val_loss"] - _affordable(trial, static, "train_seconds"),
    }


def _blocks(architecture: str) -> int:
    return sum(map(int, architecture.split("-")))


def _pattern(depths: list[int]) -> str:
    if len(depths) == 2:
        return ONE_JUMP
    if all(after == 2 * before for before, after in pairwise(depths)):
        return DOUBLINGS
    return ONE_MORE


def _affordable(trial: "pd.Series", static: pd.DataFrame, cost: str) -> float:
    """The least loss of a static network for at most as much of the cost as the trial's."""
    paid = trial[cost]
    within = static[static[cost] <= 1.001 * paid]["val_loss"]
    horizons = static[static["architecture"] == trial["architecture"]].sort_values(cost)
    between = at_cost(paid, list(horizons[cost]), list(horizons["val_loss"]))
    return float(np.fmin(within.min() if len(within) else math.nan, between))


def verdicts(table: pd.DataFrame) -> list[JudgedClaim]:
    """Each of CLAIMS judged by `schedules`' table of search_spaces/gpt_referee.py, or one like it.

    Claims of which the table has no trials are left out.
    """
    found = []
    for claim in CLAIMS:
        numbers, runs = claim.numbers(table)
        if runs:
            found.append(JudgedClaim(claim, judge(-numbers, above=-claim.below), runs))
    return found


def difference(
    factor: str, one: str, other: str, column: str = "at_steps",
    equal: Sequence[str] = FACTORS, **where: object,
) -> Callable[[pd.DataFrame], tuple[pd.Series, int]]:  # fmt: skip
    """The column with `one` value of a factor minus that with the `other`, all else being equal.

    That is the seed, and the columns `equal`.
    """

    def numbers(table: pd.DataFrame) -> tuple[pd.Series, int]:
        chosen = _where(table, where)
        rest = ["seed", *(name for name in equal if name != factor)]
        wide = chosen.pivot_table(column, rest, factor)
        if not {one, other} <= set(wide):
            return pd.Series(dtype=float), 0
        pairs = (wide[one] - wide[other]).dropna()
        return pairs.groupby("seed").mean(), 2 * len(pairs)

    return numbers


def mean(column: str, **where: object) -> Callable[[pd.DataFrame], tuple[pd.Series, int]]:
    """The mean of the column over the schedules that are as `where` says."""

    def numbers(table: pd.DataFrame) -> tuple[pd.Series, int]:
        chosen = _where(table, where)
        return chosen.groupby("seed")[column].mean(), len(chosen)

    return numbers


def beside_one_jump(
    pattern: str, other: str = ONE_JUMP
) -> Callable[[pd.DataFrame], tuple[pd.Series, int]]:
    """The loss in percent of schedules of a pattern, minus that of others at equal FLOPs.

    Schedules of the other pattern with equal schedule, initializer and state of the optimizer are
    interpolated over log FLOPs.
    """

    def numbers(table: pd.DataFrame) -> tuple[pd.Series, int]:
        table = table[table["start"] == "1"]
        same = ["seed", "lr_schedule", "initializer", "state"]
        curves = {
            key: group.groupby("flops")["val_loss"].mean()
            for key, group in table[table["pattern"] == other].groupby(same)
        }
        rows = []
        for _, trial in table[table["pattern"] == pattern].iterrows():
            curve = curves.get(tuple(trial[same]))
            if curve is None:
                continue
            there = at_cost(trial["flops"], list(curve.index), list(curve))
            if not math.isnan(there):
                rows.append((trial["seed"], 100 * (trial["val_loss"] / there - 1)))
        found = pd.DataFrame(rows, columns=["seed", "percent"])
        return found.groupby("seed")["percent"].mean(), len(found)

    return numbers


def best_of_others(
    column: str, flops: tuple[float, float], **where: object
) -> Callable[[pd.DataFrame], tuple[pd.Series, int]]:
    """The column of the schedule that is best by the mean of the other seeds, for each seed.

    So the choice does not see the number that it is judged by. Schedules cost between these shares
    of the static network's FLOPs.
    """

    def numbers(table: pd.DataFrame) -> tuple[pd.Series, int]:
        chosen = _where(table, where)
        chosen = chosen[(chosen["flops"] > flops[0]) & (chosen["flops"] <= flops[1])]
        wide = chosen.pivot_table(column, list(FACTORS), "seed").dropna()
        if wide.shape[1] < 2 or wide.empty:
            return pd.Series(dtype=float), 0
        found = {}
        for seed in wide:
            best = wide.drop(columns=seed).mean(axis=1).argmin()
            found[seed] = float(wide[seed].iloc[best])
        return pd.Series(found), wide.size

    return numbers


def _where(table: pd.DataFrame, where: Mapping[str, Any]) -> pd.DataFrame:
    for name, wanted in where.items():
        values = wanted if isinstance(wanted, tuple) else (wanted,)
        table = table[table[name].isin(values)]
    return table


BU, MALLIK = "Bu, arXiv 2511.04981", "Mallik et al., arXiv 2605.13405"
MIDAS, STACK = "MIDAS and LIDAS, arXiv 2512.08819", "G_stack, arXiv 2405.15319"
LATE: dict[str, Any] = {"pattern": ONE_JUMP, "start": "1", "state": "carry"}
_LATEST = {**LATE, "share": 0.8}
_PLACED = tuple(factor for factor in FACTORS if factor != "placement")


CLAIMS = (
    Claim(
        "One jump from one block at 0.8 of the horizon costs less than 0.5 % of the loss under WSD",
        BU, "%", mean("at_steps_percent", lr_schedule="wsd", **_LATEST), below=0.5,
    ),
    Claim(
        "It costs less than 0.5 % under a cosine as well (Bu says that it fails)",
        BU, "%", mean("at_steps_percent", lr_schedule="cosine", **_LATEST), below=0.5,
    ),
    Claim(
        "From half the horizon on, a jump costs less under WSD than under a cosine",
        BU, "nats",
        difference("lr_schedule", "wsd", "cosine", **LATE, share=(0.5, 0.65, 0.8)),
    ),
    Claim(
        "Doublings gain on one jump at equal FLOPs (Bu says that stages gain nothing)",
        BU, "%", beside_one_jump(DOUBLINGS),
    ),
    Claim(
        "One block more at a time gains on one jump at equal FLOPs",
        BU, "%", beside_one_jump(ONE_MORE),
    ),
    Claim(
        "Doublings gain on one block more at a time at equal FLOPs",
        MALLIK, "%", beside_one_jump(DOUBLINGS, ONE_MORE),
    ),
    Claim(
        "Growth in the middle is better than at the end", MIDAS, "nats",
        difference("placement", "middle", "end", state="carry"),
    ),
    Claim(
        "Copies are better between the old blocks than stacked behind them", STACK, "nats",
        difference("placement", "between", "end", initializer="copy"),
    ),
    Claim(
        "The optimizer state of old blocks is better carried than reset", "the Growing Wiki",
        "nats", difference("state", "carry", "reset"),
    ),
    *(
        Claim(f"{one} is better than {other}", "", "nats", difference("initializer", one, other))
        for one, other in (("copy", "zero"), ("copy", "default"), ("zero", "default"))
    ),
    Claim(
        "clone is better than copy, in the mean of its places", "", "nats",
        difference("initializer", "clone", "copy", equal=_PLACED),  # clones have one place
    ),
    *(
        Claim(
            f"The best growing schedule for {low:.0%} to {high:.0%} of the FLOPs is better than "
            f"what static networks reach for as many ({schedule})",
            MALLIK, "nats", best_of_others("at_flops", (low, high), lr_schedule=schedule),
        )
        for schedule in ("cosine", "wsd")
        for low, high in _BUDGETS
    ),
    *(
        Claim(
            f"The best growing schedule for at most {high:.0%} of the FLOPs is as good as the "
            f"static network over the whole horizon ({schedule})",
            STACK, "nats", best_of_others("at_steps", (0.0, high), lr_schedule=schedule),
        )
        for schedule in ("cosine", "wsd")
        for _, high in _BUDGETS
    ),
)  # fmt: skip
