"""The outcomes of a definition's trials: what a study has of them, by group, row and seed."""

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, NamedTuple

import pandas as pd

from growsearch.policies.autogrow import NO_MORE
from growsearch.reproductions.definition import Identity, Scale, identity
from growsearch.study.comparisons import found_networks
from growsearch.study.equal_cost import trial_seconds
from growsearch.study.results import config_of
from growsearch.study.summary import summarize
from growsearch.trial.architecture import Architecture
from growsearch.trial.errors import InputError
from growsearch.trial.status import Status


class Quantity(NamedTuple):
    """How a number of a trial is shown."""

    label: str
    decimals: int = 2
    unit: float = 1.0
    """Shown as a multiple of it."""


QUANTITIES = {
    "val_accuracy": Quantity("validation accuracy, %"),
    "best_val_accuracy": Quantity("best validation accuracy, %"),
    "test_accuracy": Quantity("test accuracy, %"),
    "val_error": Quantity("validation error, %"),
    "test_error": Quantity("test error, %"),
    "train_error": Quantity("training error, %"),
    "delta": Quantity("delta to training from scratch, points"),
    "ppe": Quantity("PPE, millions", 3, 1e6),
    "parameters": Quantity("parameters at the end, millions", 3, 1e6),
    "seconds": Quantity("seconds of training", 1),
    "blocks": Quantity("sub-modules, if not cut short", 1),
    "first_growth": Quantity("first growth after epoch", 1),
    "growth_share": Quantity("first growth, share of all epochs", 3),
    "step_size": Quantity("step size 1/N", 3),
    "rtol": Quantity("rtol", 2),
    "network": Quantity("network at the end"),
}
"""What a table may show; all but `network` are numbers. Accuracies are those of the last epoch."""


@dataclass
class Outcomes:
    """The completed trials of one group."""

    rows: tuple[str, ...]
    seeds: tuple[int, ...]
    of: dict[tuple[str, int], dict[str, float | str]] = field(default_factory=dict)
    """Each quantity by row and seed."""
    trial_ids: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def value(self, row: str, seed: int, quantity: str) -> float:
        """NaN if that trial has not completed, or has no such number."""
        return float(self.of.get((row, seed), {}).get(quantity, math.nan))

    def values(self, row: str, quantity: str) -> list[float]:
        """Over the seeds, without those that are not known."""
        every = [self.value(row, seed, quantity) for seed in self.seeds]
        return [value for value in every if not math.isnan(value)]

    def mean(self, row: str, quantity: str, without: int) -> float:
        """Over all seeds but one; NaN if none is known."""
        every = [self.value(row, seed, quantity) for seed in self.seeds if seed != without]
        known = [value for value in every if not math.isnan(value)]
        return fmean(known) if known else math.nan

    def networks(self, row: str) -> list[str]:
        """What the trials of a row ended with, in the order of the seeds."""
        return [str(self.of[row, s]["network"]) for s in self.seeds if (row, s) in self.of]


class StudyOutcomes(NamedTuple):
    """What a study has of a scale's trials."""

    groups: dict[str, Outcomes]
    expected: int
    completed: int
    ended: int
    """Trials that ended without an outcome: stopped, diverged or failed."""


def outcomes(scale: Scale, study: pd.DataFrame, *, deltas: bool) -> StudyOutcomes:
    """The outcomes of `scale`'s trials in `study`, a table of `read_study`.

    Other trials of the study are left out, but those from scratch give the `deltas`. Two trials are
    the same if their options are, but for where data are and how sums round. Raises InputError if
    the study has none of the trials.
    """
    wanted = {identity(config): (group, row, seed) for group, row, seed, config in scale.trials()}
    groups = {group: Outcomes(tuple(rows), scale.seeds) for group, rows in scale.groups.items()}
    trials = summarize(study)
    delta = {}
    if deltas:
        table = found_networks(trials)
        delta = dict(zip(table["trial_id"], table["val_delta"], strict=True))
    seconds = trial_seconds(study)
    completed = ended = 0
    for _, trial in trials.iterrows():
        same = _identity(trial)
        if same is None or (place := wanted.get(same)) is None:
            continue
        group, row, seed = place
        if trial["status"] != Status.COMPLETED:
            ended += Status(trial["status"]).ended
            continue
        name = str(trial["trial_id"])
        if (row, seed) in groups[group].of:
            raise InputError(
                f"the study has two trials of seed {seed} of {row!r}, {group}; the second is "
                f"{name}: give a study that has each trial once"
            )
        measured = dict(_measured(trial)) | {
            "delta": float(delta.get(name, math.nan)), "seconds": float(seconds[name])
        }  # fmt: skip
        groups[group].of[row, seed] = measured
        groups[group].trial_ids[row].append(name)
        completed += 1
    if not completed:
        raise InputError(
            f"the study has none of the {len(wanted)} trials that the definition names at this "
            "scale; give another one, or train them with --train"
        )
    return StudyOutcomes(groups, len(wanted), completed, ended)


def _identity(trial: "pd.Series") -> Identity | None:
    """None for a trial of a plugin, which no definition has."""
    try:
        return identity(config_of(trial))
    except InputError:
        return None


def _measured(trial: "pd.Series") -> Iterator[tuple[str, float | str]]:
    architecture = Architecture(str(trial["architecture"]))
    for name in ("val_accuracy", "best_val_accuracy", "test_accuracy", "ppe", "parameters"):
        yield name, _number(trial[name])
    for split in ("val", "test", "train"):
        yield f"{split}_error", 100 - _number(trial[f"{split}_accuracy"])
    cut_short = NO_MORE in str(trial["growth_ended"])  # its depth is then what the epochs allow
    yield "blocks", math.nan if cut_short else float(sum(architecture.blocks))
    yield "network", str(architecture)
    yield "step_size", 1 / max(architecture.blocks[0], 1)
    yield "rtol", _number(trial["config/rtol"])
    first = str(trial["growth_epochs"]).split()[:1]
    yield "first_growth", float(first[0]) if first else math.nan
    yield "growth_share", int(first[0]) / int(trial["epochs"]) if first else math.nan


def _number(value: Any) -> float:
    return math.nan if pd.isna(value) else float(value)
