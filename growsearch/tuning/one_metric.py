"""What Tune's own schedulers are given: they compare one metric at equal epochs."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from growsearch.searches.ledger import Ledger
    from growsearch.stopping.cost import Metric


def by_epoch(metric: "Metric") -> dict[str, Any]:
    """Their options that say what is compared, and when."""
    mode = "min" if metric.minimized else "max"
    return {"time_attr": "epoch", "metric": metric.column, "mode": mode}


def longest(ledger: "Ledger") -> int:
    """The epochs of the longest trial; 100 if there is none yet."""
    return max((trial.config.epochs for trial in ledger.trials.values()), default=100)
