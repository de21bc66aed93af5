"""Contested claims about growing, each as a number over paired seeds with a verdict."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd

from growsearch.study.equal_cost import at_cost
from growsearch.study.referee import DOUBLINGS, FACTORS, NONE, ONE_JUMP, ONE_MORE
from growsearch.study.verdicts import Judged, judge_below

_BUDGETS = ((0.0, 0.5), (0.5, 0.7), (0.7, 0.9))

JUDGED_BY = {"test": "test_", "validation": ""}
"""The data whose loss judges a claim, and how its columns of `schedules`' table begin."""


class Numbers(Protocol):
    """From `schedules`' table a number for each seed, and how many runs it is of.

    `data` is a value of JUDGED_BY. There are none if the table has no such loss.
    """

    def __call__(self, table: pd.DataFrame, data: str = "") -> tuple[pd.Series, int]: ...


@dataclass(frozen=True)
class Contested:
    """What someone says of growing, as a number."""

    says: str
    source: str
    unit: str
    numbers: Numbers
    below: float = 0.0
    """The claim is that the number is less than this."""


@dataclass(frozen=True)
class JudgedClaim:
    claim: Contested
    judged: Mapping[str, Judged]
    """By the data of JUDGED_BY, as far as their loss is recorded."""
    runs: int


def verdicts(table: pd.DataFrame) -> list[JudgedClaim]:
    """Each of CLAIMS judged by `schedules`' table of search_spaces/gpt_referee.py, or one like it.

    Claims of which the table has no trials are left out.
    """
    found = []
    for claim in CLAIMS:
        of = {data: claim.numbers(table, begins) for data, begins in JUDGED_BY.items()}
        judged = {
            data: judge_below(numbers, claim.below) for data, (numbers, runs) in of.items() if runs
        }
        if judged:
            found.append(JudgedClaim(claim, judged, max(runs for _, runs in of.values())))
    return found


def difference(
    factor: str, one: str, other: str, column: str = "at_steps",
    equal: Sequence[str] = FACTORS, **where: object,
) -> Numbers:  # fmt: skip
    """The column with `one` value of a factor minus that with the `other`, all else being equal.

    That is the seed, and the columns `equal`.
    """

    def numbers(table: pd.DataFrame, judged: str) -> tuple[pd.Series, int]:
        rest = ["seed", *(name for name in equal if name != factor)]
        wide = _where(table, where).pivot_table(judged, rest, factor)
        if not {one, other} <= set(wide):
            return _NOTHING
        pairs = (wide[one] - wide[other]).dropna()
        return pairs.groupby("seed").mean(), 2 * len(pairs)

    return _judged_by(column, numbers)


def mean(column: str, **where: object) -> Numbers:
    """The mean of the column over the schedules that are as `where` says."""

    def numbers(table: pd.DataFrame, judged: str) -> tuple[pd.Series, int]:
        chosen = _where(table, where).dropna(subset=judged)
        return chosen.groupby("seed")[judged].mean(), len(chosen)

    return _judged_by(column, numbers)


def beside_one_jump(pattern: str, other: str = ONE_JUMP) -> Numbers:
    """The loss in percent of schedules of a pattern, minus that of others at equal FLOPs.

    Schedules of the other pattern with equal schedule, initializer and state of the optimizer are
    interpolated over log FLOPs.
    """

    def numbers(table: pd.DataFrame, loss: str) -> tuple[pd.Series, int]:
        table = table[table["start"] == "1"].dropna(subset=loss)
        same = ["seed", "lr_schedule", "initializer", "state"]
        curves = {
            key: group.groupby("flops")[loss].mean()
            for key, group in table[table["pattern"] == other].groupby(same)
        }
        rows = []
        for _, trial in table[table["pattern"] == pattern].iterrows():
            curve = curves.get(tuple(trial[same]))
            if curve is None:
                continue
            there = at_cost(trial["flops"], list(curve.index), list(curve))
            if not math.isnan(there):
                rows.append((trial["seed"], 100 * (trial[loss] / there - 1)))
        found = pd.DataFrame(rows, columns=["seed", "percent"])
        return found.groupby("seed")["percent"].mean(), len(found)

    return _judged_by("loss", numbers, validation="val_")


def best_of_others(column: str, flops: tuple[float, float], **where: object) -> Numbers:
    """The column of the schedule that is best by the mean of the other seeds, for each seed.

    So the choice does not see the number that it is judged by. It sees validation losses, whatever
    it is judged by. Schedules cost between these shares of the static network's FLOPs.
    """

    def numbers(table: pd.DataFrame, judged: str) -> tuple[pd.Series, int]:
        chosen = _where(table, where)
        chosen = chosen[(chosen["flops"] > flops[0]) & (chosen["flops"] <= flops[1])]
        wide = chosen.pivot_table(column, list(FACTORS), "seed").dropna()
        if wide.shape[1] < 2 or wide.empty:
            return _NOTHING
        numbers_of = chosen.pivot_table(judged, list(FACTORS), "seed")
        numbers_of = numbers_of.reindex(index=wide.index, columns=wide.columns)
        found = {}
        for seed in wide:
            best = wide.drop(columns=seed).mean(axis=1).argmin()
            found[seed] = float(numbers_of[seed].iloc[best])
        known = pd.Series(found).dropna()
        return known, wide.size if len(known) else 0

    return _judged_by(column, numbers)


def spread(factor: str, one: str, other: str, column: str, **where: object) -> Numbers:
    """The column's standard deviation over schedules of `one`, minus that over the `other`'s."""

    def numbers(table: pd.DataFrame, judged: str) -> tuple[pd.Series, int]:
        chosen = _where(table, {**where, factor: (one, other)}).dropna(subset=judged)
        wide = chosen.groupby(["seed", factor])[judged].std().unstack(factor)
        if not {one, other} <= set(wide):
            return _NOTHING
        return (wide[one] - wide[other]).dropna(), len(chosen)

    return _judged_by(column, numbers)


def _judged_by(
    column: str,
    numbers: Callable[[pd.DataFrame, str], tuple[pd.Series, int]],
    validation: str = "",
) -> Numbers:
    """`numbers` of the column of the data that is asked for, if the table has it.

    `validation` is how the column of the validation data begins.
    """

    def of_data(table: pd.DataFrame, data: str = "") -> tuple[pd.Series, int]:
        judged = f"{data or validation}{column}"
        return numbers(table, judged) if judged in table else _NOTHING

    return of_data


def _where(table: pd.DataFrame, where: Mapping[str, Any]) -> pd.DataFrame:
    for name, wanted in where.items():
        values = wanted if isinstance(wanted, tuple) else (wanted,)
        table = table[table[name].isin(values)]
    return table


BU, MALLIK = "Bu, arXiv 2511.04981", "Mallik et al., arXiv 2605.13405"
MIDAS, STACK = "MIDAS and LIDAS, arXiv 2512.08819", "G_stack, arXiv 2405.15319"
LATE: dict[str, Any] = {"pattern": ONE_JUMP, "start": "1", "state": "carry"}
_NOTHING: tuple[pd.Series, int] = (pd.Series(dtype=float), 0)
_PLACED = tuple(factor for factor in FACTORS if factor != "placement")


CLAIMS = (
    *(
        Contested(
            f"One jump from {blocks} at 0.8 of the horizon costs less than 0.5 % of the loss under "
            f"{name}",
            BU, "%",
            mean("at_steps_percent", lr_schedule=schedule, start=start, pattern=ONE_JUMP,
                 state="carry", share=0.8),
            below=0.5,
        )
        for start, blocks in (("1", "one block"), ("0", "no block"))
        for schedule, name in (("wsd", "WSD"), ("cosine", "a cosine, where Bu says that it fails"))
    ),
    *(
        Contested(
            "One jump from one block at 0.5 of the horizon costs less than 0.5 % of the loss under "
            f"a cosine, where Bu says that it fails ({blocks})",
            BU, "%",
            mean("at_steps_percent", **LATE, lr_schedule="cosine", share=0.5, **chosen),
            below=0.5,
        )
        for blocks, chosen in (
            ("all initializers", {}), ("copy", {"initializer": "copy"}),
            ("clone", {"initializer": "clone"}),
        )
    ),
    *(
        Contested(
            f"At {share} of the horizon, a jump costs less under WSD than under a cosine",
            BU, "nats",
            difference("lr_schedule", "wsd", "cosine", **LATE, share=share),
        )
        for share in (0.5, 0.65, 0.8)
    ),
    Contested(
        "Doublings gain on one jump at equal FLOPs (Bu says that stages gain nothing)",
        BU, "%", beside_one_jump(DOUBLINGS),
    ),
    Contested(
        "One block more at a time gains on one jump at equal FLOPs",
        BU, "%", beside_one_jump(ONE_MORE),
    ),
    Contested(
        "Doublings gain on one block more at a time at equal FLOPs",
        MALLIK, "%", beside_one_jump(DOUBLINGS, ONE_MORE),
    ),
    Contested(
        "Doublings differ less from schedule to schedule, at equal FLOPs, than one jump",
        MALLIK, "nats", spread("pattern", DOUBLINGS, ONE_JUMP, "at_flops", start="1"),
    ),
    *(
        Contested(
            f"Growth in the middle is better than at the end ({initializer})", MIDAS, "nats",
            difference("placement", "middle", "end", state="carry", initializer=initializer),
        )
        for initializer in ("copy", "zero")
    ),
    Contested(
        "Copies are better between the old blocks than stacked behind them", STACK, "nats",
        difference("placement", "between", "end", initializer="copy"),
    ),
    Contested(
        "The optimizer state of old blocks is better carried than reset", "the Growing Wiki",
        "nats", difference("state", "carry", "reset"),
    ),
    *(
        Contested(
            f"{one} is better than {other}", "", "nats", difference("initializer", one, other)
        )
        for one, other in (("copy", "zero"), ("copy", "default"), ("zero", "default"))
    ),
    Contested(
        "clone is better than copy, in the mean of its places", "", "nats",
        difference("initializer", "clone", "copy", equal=_PLACED),  # clones have one place
    ),
    Contested(
        "clone is better than copy between the old blocks", "", "nats",
        difference("initializer", "clone", "copy", equal=_PLACED, placement=("between", NONE)),
    ),
    *(
        Contested(
            f"The best growing schedule for {low:.0%} to {high:.0%} of the FLOPs is better than "
            f"what static networks reach for as many ({schedule})",
            MALLIK, "nats", best_of_others("at_flops", (low, high), lr_schedule=schedule),
        )
        for schedule in ("cosine", "wsd")
        for low, high in _BUDGETS
    ),
    *(
        Contested(
            f"The best growing schedule for at most {high:.0%} of the FLOPs is as good as "
            f"{other} ({schedule})",
            STACK, "nats", best_of_others(judged, (0.0, high), lr_schedule=schedule),
        )
        for judged, other in (
            ("at_steps", "the static network over the whole horizon"),
            ("at_whole", "the best static network for all of them"),
        )
        for schedule in ("cosine", "wsd")
        for _, high in _BUDGETS
    ),
)  # fmt: skip
