"""Whether a search has ended because its budget is spent, with trials left open."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from growsearch.stopping.budget import TRIALS, is_reason_paused, parse_budget
from growsearch.stopping.cost import summed_costs
from growsearch.study.folder import LOG_FILE
from growsearch.study.search_log import last_statuses
from growsearch.study.summary import paid_columns
from growsearch.trial.errors import InputError
from growsearch.trial.status import Status


def all_statuses(folder: Path, trials: pd.DataFrame) -> dict[str, Status]:
    """The status of each trial that is in `summarize`'s table, or only in the log."""
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
    if not (_is_spent(str(budget), statuses, trials) or trials["reason"].map(_paused).any()):
        return None
    count = f"{len(still_open)} trial{' has' if len(still_open) == 1 else 's have'}"
    return f"The search has ended: its budget of {budget} is spent. {count} not ended"


def _paused(reason: object) -> bool:
    return isinstance(reason, str) and is_reason_paused(reason)


def _is_spent(budget: str, statuses: Mapping[str, Status], trials: pd.DataFrame) -> bool:
    try:
        unit, amount = parse_budget(budget)
    except InputError:  # a unit that a plugin has
        return False
    if unit == TRIALS:
        return sum(status is not Status.WAITING for status in statuses.values()) >= amount
    column = paid_columns()[summed_costs()[unit].result()]
    return column in trials and float(trials[column].sum()) >= amount
