"""Whether a search has ended because its budget is spent, with trials left open."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from growsearch.stopping.cost import summed_costs
from growsearch.study.folder import LOG_FILE
from growsearch.study.search_log import last_statuses
from growsearch.study.spending import SUMMED
from growsearch.trial.status import Status


def all_statuses(folder: Path, trials: pd.DataFrame) -> dict[str, Status]:
    """By trial, the status of those in `summarize`'s table and of those that the log alone has."""
    known = dict(zip(trials["trial_id"], map(Status, trials["status"]), strict=True))
    return last_statuses(folder / LOG_FILE) | known


def left_by_budget(
    info: Mapping[str, Any], statuses: Mapping[str, Status], trials: pd.DataFrame
) -> str | None:
    """A sentence for a search whose budget is spent while trials are open; None for others.

    `info` is of study.json, `statuses` are those of all trials, in the log and in tables, `trials`
    is `summarize`'s table. A trial that runs says that the search goes on, or was interrupted.
    """
    budget = info.get("settings", {}).get("budget")
    still_open = [status for status in statuses.values() if not status.ended]
    if not budget or not still_open or Status.RUNNING in still_open:
        return None
    unit, _, amount = str(budget).partition("=")
    begun = sum(status is not Status.WAITING for status in statuses.values())
    try:
        spent = (begun if unit == "trials" else _paid(unit, trials)) >= float(amount)
    except ValueError:  # no amount, or a unit that a plugin has
        spent = False
    if not spent and not trials["reason"].fillna("").str.startswith("the budget of ").any():
        return None
    count = f"{len(still_open)} trial{' has' if len(still_open) == 1 else 's have'}"
    return f"The search has ended: its budget of {budget} is spent. {count} not ended"


def _paid(unit: str, trials: pd.DataFrame) -> float:
    cost = summed_costs().get(unit)
    column = SUMMED.get(cost.result()) if cost else None
    if column is None or column not in trials:
        raise ValueError(unit)
    return float(trials[column].sum())
