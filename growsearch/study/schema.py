"""The columns of results: their types, units and meanings."""

from collections.abc import Iterable

import pyarrow as pa

from growsearch import __version__
from growsearch.stopping.cost import costs, metrics
from growsearch.trial.history import OWN, RECORD_FIELDS
from growsearch.trial.trial_options import every_option

_LIST = pa.list_(pa.field("element", pa.float64()))
UNITS = {
    "epoch": (pa.int64(), "epochs", "number of the epoch, from 1"),
    "phase": (pa.string(), "", "training, initializing or fine-tuning"),
    "architecture": (pa.string(), "blocks per sub-network", "trained in this epoch"),
    "parameters": (pa.int64(), "parameters", "trained in this epoch"),
    "param_epochs": (pa.int64(), "parameters * epochs", "parameters summed over the epochs so far"),
    "ppe": (pa.float64(), "parameters per epoch", "param_epochs / epoch"),
    "macs": (pa.int64(), "multiply-accumulates", "of the network for one example"),
    "example_tokens": (pa.int64(), "tokens", "of an example; 1 for tasks without tokens"),
    "decision": (pa.string(), "", "growth or fine-tuning after the epoch, and its reason"),
    "key": (pa.string(), "", "store key: trials with the same key share the epoch"),
    "precision": (pa.string(), "", "number format of training and evaluation"),
    "compiled": (pa.bool_(), "", "whether training steps were compiled"),
    "reused": (pa.bool_(), "", "whether the epoch came from a store, not from training"),
    "train_flops": (pa.float64(), "FLOPs", "of training so far: 6 * macs for each image"),
    "lr": (pa.float64(), "1", "learning rate of this epoch, the mean over its steps"),
    "train_loss": (pa.float64(), "nats", "mean cross-entropy during training"),
    "train_accuracy": (pa.float64(), "percent", "during training, on augmented images"),
    "val_loss": (pa.float64(), "nats", "mean cross-entropy after the epoch"),
    "val_accuracy": (pa.float64(), "percent", "after the epoch"),
    "test_accuracy": (pa.float64(), "percent", "after the epoch; no decision reads it"),
    "lipschitz": (pa.float64(), "1", "mean Lipschitz constant of the residual blocks"),
    "lipschitz_subnetworks": (_LIST, "1", "the mean over each sub-network's blocks"),
    "lipschitz_blocks": (_LIST, "1", "of each block, if recorded"),
    "lipschitz_layers": (_LIST, "1", "conv1, bn1, conv2, bn2, ... of each block, if recorded"),
    "grew": (pa.bool_(), "", "whether the network grew after this epoch"),
    "grown_val_loss": (pa.float64(), "nats", "val_loss just after the growth"),
    "grown_val_accuracy": (pa.float64(), "percent", "val_accuracy just after the growth"),
    "temporal_error": (_LIST, "feature norm", "e(N, N+) of each sub-network, on held-out images"),
    "functional_difference": (_LIST, "feature norm", "C(N, N+) of each sub-network"),
    "temporal_bound": (_LIST, "feature norm", "Theorem 3's bound of temporal_error"),
    "seconds": (pa.float64(), "s", "wall time of the whole epoch, growth included"),
    "train_seconds": (pa.float64(), "s", "wall time of training"),
    "eval_seconds": (pa.float64(), "s", "wall time of evaluation on validation and test images"),
    "lipschitz_seconds": (pa.float64(), "s", "wall time of the Lipschitz constants"),
    "growth_seconds": (pa.float64(), "s", "wall time of building the grown network"),
    "store_seconds": (pa.float64(), "s", "wall time of reading and writing the epoch store"),
    "status": (pa.string(), "", "running, or how the trial ended after this epoch"),
}
_STOP = {
    "dominated_by": (pa.string(), "", "the completed trial for which this one was stopped"),
    "slack": (
        pa.float64(),
        "percentage points",
        "how much less accurate than this one that trial may be",
    ),
}
"""Why a trial was stopped, or why an audited trial would have been."""


def _cost_columns() -> dict[str, tuple[pa.DataType, str, str]]:
    """The columns of the costs' lower bounds, and of costs that are no field of EpochRecord."""
    known = costs().values()
    least = "the lowest cost that the trial could end with"
    bounds = {f"bound/{cost.result()}": (pa.float64(), cost.unit, least) for cost in known}
    own = {c.result(): (pa.float64(), c.unit, c.summary()) for c in known if not c.column}
    return bounds | own


def _metric_bounds() -> dict[str, tuple[pa.DataType, str, str]]:
    """The columns of the metrics' bounds. Only the scheduler's metric has values."""
    lowest, highest = (
        f"the {best} that the trial could end with" for best in ("lowest", "highest")
    )
    return {
        f"bound/{m.column}": (pa.float64(), m.unit, lowest if m.minimized else highest)
        for m in metrics().values()
    }


_KINDS = {str: pa.string(), int: pa.int64(), float: pa.float64()}


def schema(metrics: Iterable[str] = (), bounds: Iterable[str] = ()) -> pa.Schema:
    """The columns of a trial's file, with the options of the plugins that are loaded.

    `metrics` are names of the numbers that the trial's task measures besides loss and accuracy;
    `bounds` are columns of bounds of such a number.
    """

    def column(name: str, kind: pa.DataType, unit: str, description: str) -> pa.Field:
        return pa.field(name, kind, metadata={"unit": unit, "description": description})

    record = [column(name, *UNITS[name]) for name in RECORD_FIELDS if name != "metrics"]
    measured = "what the trial's task measures"
    record += [column(f"{OWN}{name}", pa.float64(), "", measured) for name in metrics]
    config = [
        column(f"config/{name}", pa.string() if rule.many else _KINDS[rule.kind], "", rule.help)
        for name, rule in every_option().items()
    ]
    trial_id = column("trial_id", pa.string(), "", "the trial's name, the same in all its rows")
    reason = column("reason", pa.string(), "", "why the trial was stopped, pauses, or failed")
    best = "the best that the trial could end with"
    stops = {**_STOP, **_cost_columns(), **_metric_bounds()}
    stops |= {name: (pa.float64(), "", best) for name in bounds}
    stop = [column(name, *described) for name, described in stops.items()]
    return pa.schema(
        [trial_id, *record, reason, *stop, *config], metadata={"growsearch": __version__}
    )
