"""The tree of a study's epochs: a trial is a path from a root; equal first epochs are one node."""

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import pandas as pd

from growsearch.study.summary import was_paid

_COLUMNS = ["parent", "first_epoch", "last_epoch", "architecture", "trials", "trial_id", "y"]


@dataclass(frozen=True)
class EpochCounts:
    """Numbers of a study's epochs, with and without sharing."""

    nominal: int
    """Sum of all trials' epochs."""
    distinct: int
    """Epochs with different keys: the fewest that a search must train."""
    paid: int
    """Epochs that this study trained."""
    merge_rate: float
    """Parameter-epochs of all trials over those that this study trained; inf if it trained none."""


def count_epochs(study: pd.DataFrame) -> EpochCounts:
    """Counts the epochs of `read_study`'s table; an epoch without a key counts as distinct."""
    paid = was_paid(study)
    total, trained = study["parameters"].sum(), study.loc[paid, "parameters"].sum()
    keys = study["key"].dropna()
    return EpochCounts(
        nominal=len(study),
        distinct=int(keys.nunique()) + len(study) - len(keys),
        paid=int(paid.sum()),
        merge_rate=float(total / trained) if trained else float("inf"),
    )


@dataclass
class _Node:
    epoch: int
    architecture: str
    trial_id: str
    trials: int = 0
    children: list["_Node"] = field(default_factory=list)

    def goes_on_as(self, child: "_Node") -> bool:
        return (self.architecture, self.trials) == (child.architecture, child.trials)


def epoch_tree(study: pd.DataFrame) -> pd.DataFrame:
    """The tree as a table with one row for each stretch of epochs, numbered from 0.

    A stretch is a run of epochs that the same trials share with one architecture. It ends where
    trials separate or the network has grown. Epochs without keys are left out.

    Columns: parent (row number of the stretch before, -1 for a root); first_epoch, last_epoch;
    architecture; trials (the number that share the stretch); trial_id (one of them); y (vertical
    position for a drawing). Leaves have the positions 0, 1, ..., and leaves that separate late are
    neighbours. Every other stretch has the mean position of its children.
    """
    rows: list[dict[str, Any]] = []
    leaves = 0
    waiting = [(root, -1) for root in reversed(_roots(study))]
    while waiting:
        node, parent = waiting.pop()
        row = {
            "parent": parent, "first_epoch": node.epoch, "architecture": node.architecture,
            "trials": node.trials, "trial_id": node.trial_id, "y": float(leaves),
        }  # fmt: skip
        while len(node.children) == 1 and node.goes_on_as(node.children[0]):
            (node,) = node.children
        row["last_epoch"] = node.epoch
        waiting += [(child, len(rows)) for child in reversed(node.children)]
        leaves += not node.children
        rows.append(row)
    following: dict[int, list[float]] = defaultdict(list)
    for i, row in reversed(list(enumerate(rows))):
        if following[i]:
            row["y"] = fmean(following[i])
        following[row["parent"]].append(row["y"])
    return pd.DataFrame(rows, columns=_COLUMNS)


def _roots(study: pd.DataFrame) -> list[_Node]:
    columns = ["key", "epoch", "architecture", "trial_id"]
    keyed = study.dropna(subset="key").sort_values(["trial_id", "epoch"])
    known: dict[str, _Node] = {}
    roots: list[_Node] = []
    siblings = roots
    for key, epoch, architecture, trial_id in keyed[columns].itertuples(index=False, name=None):
        if epoch == 1:
            siblings = roots
        if key not in known:
            known[key] = _Node(epoch, architecture, trial_id)
            siblings.append(known[key])
        known[key].trials += 1
        siblings = known[key].children
    return roots
