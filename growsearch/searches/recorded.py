"""Trials that were recorded to their end, which a replay tells a scheduler epoch by epoch."""

import logging
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from pathlib import Path

from growsearch.searches.tree import ways_of
from growsearch.stopping.cost import Metric, check_paid, cost_of, cost_so_far, epoch_costs
from growsearch.stopping.cost_bounds import Size, sizes_of
from growsearch.stopping.hypervolume import Bounds, Outcome, hypervolume
from growsearch.study.best import first_cost, noted_metric
from growsearch.study.folder import read_info
from growsearch.study.plugins import config_in
from growsearch.study.results import read_histories, read_study
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import History
from growsearch.trial.status import Status

_LOG = logging.getLogger("growsearch")


def dominates(one: Outcome, other: Outcome) -> bool:
    """Whether `one` costs no more and is at least as good, and differs; see is_pareto_optimal."""
    return one[0] <= other[0] and one[1] >= other[1] and one != other


@dataclass(frozen=True)
class RecordedTrial:
    """A trial with all of its epochs. Those with equal keys are the same epoch."""

    name: str
    config: TrialConfig
    history: History

    @property
    def completed(self) -> bool:
        """Whether it has an outcome: one that diverged has none."""
        return self.history[-1].status is Status.COMPLETED

    def outcome(self, cost: str, metric: Metric) -> Outcome:
        """Its final cost, and its final metric as a number of which more is better."""
        spent = cost_so_far(cost_of(cost), self.history)[-1]
        return spent, metric.value(metric.of(self.history[-1]))

    @property
    def size(self) -> Size:
        """The sizes of its networks; of those that it never had, by building them."""
        known = {r.architecture: (r.parameters, r.macs) for r in self.history}
        return lambda architecture: known.get(architecture) or sizes_of(self.config)(architecture)


@dataclass(frozen=True)
class Recording:
    """Trials of one or several studies, and what a search of them is measured by."""

    trials: tuple[RecordedTrial, ...]
    cost: str
    metric: Metric
    unit: str = "param_epochs"
    """The cost in which is counted what a search pays: one that is a sum over epochs."""

    @cached_property
    def outcomes(self) -> dict[str, Outcome]:
        """The finite outcomes of the completed trials, by name."""
        found = {t.name: t.outcome(self.cost, self.metric) for t in self.trials if t.completed}
        return {name: outcome for name, outcome in found.items() if all(map(isfinite, outcome))}

    @cached_property
    def bounds(self) -> Bounds:
        """The ranges of the outcomes, which scale every replay's hypervolume."""
        return Bounds.around(self.outcomes.values())

    @cached_property
    def hypervolume(self) -> float:
        """The hypervolume of the whole front."""
        return hypervolume(self.outcomes.values(), self.bounds)

    @cached_property
    def front(self) -> set[str]:
        """The trials that no other dominates."""
        return {
            name
            for name, own in self.outcomes.items()
            if not any(dominates(other, own) for other in self.outcomes.values())
        }

    @cached_property
    def prices(self) -> dict[str, float]:
        """What training each epoch costs in `unit`, by its key."""
        cost = cost_of(self.unit)
        return {
            record.key: price
            for trial in self.trials
            for record, price in zip(trial.history, epoch_costs(cost, trial.history), strict=True)
        }

    @cached_property
    def planned_costs(self) -> dict[str, float]:
        """By name, what each trial costs as far as it is known before any runs; see tree.Way."""
        cost = cost_of(self.cost)
        ways = ways_of(trial.config for trial in self.trials)
        return {t.name: b.final_cost(cost, t.size) for t, b in zip(self.trials, ways, strict=True)}

    def to_pay(self, names: set[str] | None = None, *, shared: bool = True) -> float:
        """What training the trials `names`, by default all, costs in `unit`.

        With `shared`, each distinct epoch counts once.
        """
        chosen = [t for t in self.trials if names is None or t.name in names]
        keys = [record.key for t in chosen for record in t.history]
        return float(sum(self.prices[key] for key in (dict.fromkeys(keys) if shared else keys)))


def read_recording(
    folder: str | Path, cost: str | None = None, metric: str | None = None,
    unit: str = "param_epochs",
) -> Recording:  # fmt: skip
    """The trials of the study in `folder`; by default with its search's first cost and its metric.

    Raises InputError if one did not run to its end, if there are no two different outcomes, or if
    `unit` is no sum over epochs.
    """
    check_paid(unit)
    info, rows = read_info(folder), read_study(folder).drop_duplicates("trial_id", keep="last")
    cost = cost or first_cost(info)
    measured, notes = noted_metric(info, rows, metric)
    for note in notes:
        _LOG.warning(note)
    if rows["key"].isna().any():
        raise InputError(
            f"study {str(folder)!r} cannot be replayed: its epochs have no keys, so which of them "
            "trials share is not known; record it again with this version"
        )
    histories = read_histories(folder)
    if missing := [name for name in map(str, rows["trial_id"]) if name not in histories]:
        raise InputError(
            f"study {str(folder)!r} cannot be replayed: it has no epochs of trial {missing[0]}; "
            "give the folder that the search wrote"
        )
    trials = tuple(
        RecordedTrial(
            str(row["trial_id"]),
            config_in(Path(folder), info, row),
            histories[str(row["trial_id"])],
        )
        for _, row in rows.iterrows()
    )
    cut = [t.name for t in trials if not t.history[-1].status.ran_to_end]
    if cut:
        raise InputError(
            f"study {str(folder)!r} cannot be replayed: {len(cut)} of {len(trials)} trials did not "
            f"run to their end (the first is {cut[0]}); search with --scheduler none, or resume it"
        )
    recording = Recording(trials, cost, measured, unit)
    different = [set(values) for values in zip(*recording.outcomes.values(), strict=True)]
    if not different or min(map(len, different)) < 2:
        raise InputError(
            f"study {str(folder)!r} cannot be replayed: its completed trials do not differ in both "
            f"{cost} and {measured.name}; choose another cost or metric, or a larger study"
        )
    return recording
