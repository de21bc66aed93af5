"""How a search runs, apart from what it searches: kept in its study, for `growsearch resume`."""

import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from growsearch.epochs.store import in_bytes
from growsearch.trial.components import components
from growsearch.trial.errors import InputError
from growsearch.trial.options import suggestion

SCHEDULERS = ("none", "pareto", "asha", "median", "hyperband", "pbt")
PAUSING = ("hyperband", "pbt")
"""Those of Tune's that pause trials."""
SAMPLERS = ("tpe", "nsga2", "gp")
KEPT = ("all", "forks", "last")
"""Which training states stay in an epoch store."""
LOGS = ("tensorboard", "mlflow", "wandb")
"""What else a search may be told to."""


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """InputError for a value that cannot be."""

    cpus_per_trial: int = 1
    """Cores, which are a trial's threads."""
    gpus_per_trial: float | None = None
    """None: one where the cluster has any."""
    max_concurrent: int | None = None
    from_scratch: bool = False
    """Add a trial for each network that a trial has grown to."""
    store: str | None = None
    """Where epochs are remembered, each trained once; None: in the study; "none": nowhere."""
    keep_states: str = "forks"
    """Which states stay in the store: see Branch."""
    state_megabytes: float | None = None
    max_failures: int = 2
    """How often a trial starts again after its actor has failed."""
    auto_precision: str | None = None
    """What precision "auto" comes to in this search, on all hosts; None: what it does on each."""
    epoch_timeout: float | None = None
    """Seconds after which an epoch counts as hanging, and its actor has failed."""
    sampler: str | None = None
    """tpe, nsga2 or gp: Optuna draws the trials; None: grid and random."""
    scheduler: str = "none"
    """pareto, which stops and pauses by ParetoStopping; Tune's own asha, median, hyperband or pbt;
    or none."""
    costs: Sequence[str] = ("ppe",)
    metric: str = "val_accuracy"
    """What accuracy is: that, or val_loss."""
    alpha: float = 0.1
    delta: float = 0.0
    audit: float = 0.1
    racing: float | None = None
    budget: str | None = None
    """Like "param_epochs=5e7": see Budget."""
    log: Sequence[str] = ()
    """tensorboard, mlflow, wandb: which of them are told of each epoch."""
    owner: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Names the search where epochs are claimed."""

    def __post_init__(self) -> None:
        gpus = self.gpus_per_trial
        in_bytes(self.state_megabytes)
        if self.max_concurrent is not None and self.max_concurrent < 1:
            raise InputError(
                f"max_concurrent={self.max_concurrent} is no number of trials; give 1 or more"
            )
        if self.cpus_per_trial < 1:
            raise InputError(
                f"cpus_per_trial={self.cpus_per_trial} is no number of cores; give 1 or more"
            )
        if gpus is not None and not 0 <= gpus < math.inf:
            raise InputError(f"gpus_per_trial={gpus} is no share of GPUs; give 0 or more")
        if self.max_failures < 0:
            raise InputError(f"max_failures={self.max_failures} is no number; give 0 or more")
        for name, value, known in (
            ("sampler", self.sampler, SAMPLERS),
            ("scheduler", self.scheduler, SCHEDULERS),
            ("metric", self.metric, tuple(components("metric"))),
            *(("cost", cost, tuple(components("cost"))) for cost in self.costs),
            *(("log", log, LOGS) for log in self.log),
        ):
            if value is not None and value not in known:
                raise InputError(f"unknown {name} {value!r}{suggestion(value, known)}")
        if self.racing is not None and self.scheduler != "pareto":
            raise InputError(
                f"racing={self.racing:g} belongs to scheduler 'pareto', but scheduler is "
                f"{self.scheduler!r}; leave racing out or choose 'pareto'"
            )
        pauses = f"racing={self.racing:g}" if self.racing is not None else ""
        if self.scheduler in PAUSING:
            pauses = f"scheduler {self.scheduler!r}"
        if pauses and self.store == "none":
            raise InputError(
                f"{pauses} pauses trials, which go on from a store; leave out store 'none'"
            )
        if self.scheduler in PAUSING and self.max_concurrent is not None:
            raise InputError(
                f"max_concurrent={self.max_concurrent} cannot be with scheduler "
                f"{self.scheduler!r}, which has Tune start trials; set cpus_per_trial instead"
            )
        if self.scheduler == "pbt" and self.sampler is not None:
            raise InputError(
                f"scheduler 'pbt' draws trials itself, and so does sampler {self.sampler!r}; leave "
                "one of them out"
            )
        if self.epoch_timeout is not None and not self.epoch_timeout > 0:
            raise InputError(
                f"epoch_timeout={self.epoch_timeout} is no time; give seconds, above 0"
            )
