"""How the trials of a study ended, and what its audit says of those that were stopped."""

from dataclasses import dataclass

import pandas as pd

from growsearch.stopping.cost import metric_of
from growsearch.trial.components import components
from growsearch.trial.status import Status


def count_outcomes(trials: pd.DataFrame) -> dict[str, int]:
    """How many of `summarize`'s trials have each status that any has, in Status's order."""
    counts = trials["status"].value_counts()
    return {status.value: int(counts[status]) for status in Status if status in counts}


@dataclass(frozen=True)
class Audit:
    """Of the trials that ran to their end although they would have been stopped."""

    judged: int
    wrong: int
    """More accurate in the end than what would have stopped them, by more than the slack."""


def audit(trials: pd.DataFrame) -> Audit:
    """From `summarize`'s table."""
    ran_to_end = trials["status"].isin([status for status in Status if status.ran_to_end])
    kept = trials[ran_to_end & trials["dominated_by"].notna()]
    judged = (m for m in components("metric") if kept[f"bound/{m}"].notna().any())
    metric = next(judged, "val_accuracy")
    accuracies = trials[metric].map(metric_of(metric).value)
    named = accuracies.set_axis(trials["trial_id"])
    rival = named.reindex(kept["dominated_by"]).to_numpy() + kept["slack"]
    wrong = (kept["status"] == Status.COMPLETED) & (accuracies[kept.index] > rival)
    return Audit(len(kept), int(wrong.sum()))
