"""A search's budget as people write it, and the reason of the trials that it pauses."""

import math

from growsearch.stopping.cost import summed_costs
from growsearch.trial.errors import InputError
from growsearch.trial.options import suggestion

TRIALS = "trials"
"""The unit of a budget that counts trials; the others are costs."""
_REASON = "the budget of "


def parse_budget(given: str) -> tuple[str, float]:
    """A unit and how much of it, from like "param_epochs=5e7"; InputError for anything else."""
    unit, _, amount = given.partition("=")
    units = (*summed_costs(), TRIALS)
    if unit not in units:
        raise InputError(f"unknown budget {unit!r}{suggestion(unit, units)}")
    try:
        value = float(amount) if amount == amount.strip() else math.nan
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise InputError(f"budget {given!r} is no amount; write it like {unit}=1e9")
    return unit, value


def reason_paused(unit: str, amount: float) -> str:
    """The reason of a trial that pauses since the budget is spent."""
    return f"{_REASON}{amount:,.6g} {unit} is spent"


def is_reason_paused(reason: str) -> bool:
    """Whether `reason` is one of `reason_paused`."""
    return reason.startswith(_REASON)
