"""How the trials of a study ended, and how many stops were wrong."""

from dataclasses import dataclass

import pandas as pd

from growsearch.stopping.cost import Metric, metrics
from growsearch.trial.errors import InputError
from growsearch.trial.status import Status


def count_outcomes(trials: pd.DataFrame) -> dict[str, int]:
    """The number of trials of each status in `summarize`'s table, in the order of Status."""
    counts = trials["status"].value_counts()
    return {status.value: int(counts[status]) for status in Status if status in counts}


@dataclass(frozen=True)
class Audit:
    """The audited trials: they ran to their end, although the scheduler would have stopped them."""

    judged: int
    """Their number."""
    wrong: int
    """The number that ended more accurate, by more than the slack, than the trial for which they
    would have been stopped."""


def audit(trials: pd.DataFrame, own: Metric | None = None) -> Audit:
    """The audit of `summarize`'s table; `own` may be the study's metric if it is no component.

    Raises InputError if trials were compared by a metric whose plugin is not loaded.
    """
    ran_to_end = trials["status"].isin([status for status in Status if status.ran_to_end])
    kept = trials[ran_to_end & trials["dominated_by"].notna()]
    if kept.empty:
        return Audit(0, 0)
    metric = judged_metric(kept, own)
    if metric is None:
        raise InputError(
            "trials were compared by a metric that is not known here; load the plugin that has it"
        )
    accuracies = trials[metric.column].map(metric.value)
    named = accuracies.set_axis(trials["trial_id"])
    rival = named.reindex(kept["dominated_by"]).to_numpy() + kept["slack"]
    wrong = (kept["status"] == Status.COMPLETED) & (accuracies[kept.index] > rival)
    return Audit(len(kept), int(wrong.sum()))


def judged_metric(trials: pd.DataFrame, own: Metric | None = None) -> Metric | None:
    """The metric by which the scheduler stopped trials of `summarize`'s table, or audited them.

    None if there are no such trials, or the metric is neither known here nor `own`.
    """
    known = [*metrics().values(), *([own] if own is not None else [])]
    there = [m for m in known if f"bound/{m.column}" in trials]  # a stop has one metric's bound
    return next((m for m in there if trials[f"bound/{m.column}"].notna().any()), None)
