"""How a search runs, apart from what it searches: kept in its study, for `growsearch resume`."""

import math
import uuid
from dataclasses import dataclass, field

from growsearch.epoch_store import in_bytes
from growsearch.errors import InputError


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
    epoch_timeout: float | None = None
    """Seconds after which an epoch counts as hanging, and its actor has failed."""
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
        if self.epoch_timeout is not None and not self.epoch_timeout > 0:
            raise InputError(
                f"epoch_timeout={self.epoch_timeout} is no time; give seconds, above 0"
            )
