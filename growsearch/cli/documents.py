"""What each command prints with --json: one JSON document, whose keys are the fields of a class.

The document stands alone on the standard output; progress, notes and warnings go to the standard
error. Exit codes are the same as without --json. A number that is not finite, or is not known, is
null. Later versions may add keys; the changelog says so if one is renamed or removed.
"""

from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
"""A row of a table, an object of its columns."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """`growsearch train`, and `resume` of one trial."""

    study: str
    """The folder of the results."""
    trial: str | None
    """Its name; null if it has no epoch."""
    status: str
    """How it ended, or interrupted: a signal ended the command before the trial's end, and
    `growsearch resume` goes on."""
    reason: str | None
    """Why it failed."""
    records: list[Row]
    """All of its epochs: the fields of EpochRecord."""


@dataclass(frozen=True, kw_only=True)
class Reported:
    """`growsearch report`."""

    study: str
    page: str
    """The report."""
    picture: str | None
    """The front as PNG; None if it cannot be drawn."""
    table: str
    """The front as CSV."""
    cost: str
    """Name of the cost by which trials are compared."""
    metric: str
    """Name of the metric by which trials are compared."""
    searched: list[str]
    """The options that the search space varies."""
    epochs: Row
    """Numbers of epochs: nominal, distinct and paid; and merge_rate, the parameter-epochs of all
    trials over those that the study trained."""
    front: list[Row]
    """The trials that no other dominates, cheapest first: the columns of `summarize`."""
    found: list[Row]
    """Networks found by growing beside training from scratch: the columns of `found_networks`."""


@dataclass(frozen=True, kw_only=True)
class Searched:
    """`growsearch search`, and `resume` of a search."""

    study: str
    """The folder of the results."""
    outcomes: dict[str, int]
    """How many trials have each status."""
    failures: list[str]
    """A line for each trial that failed, or waits for a reason."""
    unfinished: int
    """How many trials did not end."""
    report: Reported | None
    """What `growsearch report` prints; null if no trial has an epoch."""


@dataclass(frozen=True, kw_only=True)
class Planned:
    """`growsearch plan`, and `growsearch reproduce --plan`, which adds `from_scratch`."""

    trials: int
    nominal: int
    """The epochs of all trials."""
    fewest: int
    """The fewest distinct epochs; where data decides, trials may share more or less."""
    most: int
    """The most distinct epochs."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """`growsearch check-task`."""

    task: str
    checks: list[Row]
    """Each check: its name, its status, and what it said."""
    failed: int
    """How many checks failed."""
    warnings: int
    """How many hold, with a warning."""


@dataclass(frozen=True, kw_only=True)
class Diagnosed:
    """`growsearch doctor`."""

    found: list[Row]
    """Each look: its name, its status, what it said, and the remedy."""
    failed: int
    """How many looks failed."""
    warnings: int


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """`growsearch fetch`."""

    study: str
    """The new folder."""
    place: str
    """Where its copy is."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """`growsearch store ls` and `growsearch store verify`."""

    place: str
    records: Row
    """Count and bytes of the records."""
    states: Row
    """Count and bytes of the states."""
    damaged: list[str] | None
    """Files that are damaged; null for ls, which reads none."""


@dataclass(frozen=True, kw_only=True)
class Collected:
    """`growsearch store gc`."""

    place: str
    removed: int
    """How many states were removed."""
    bytes: int
    """Their size."""
    left: int
    """The size of the states that stay, in bytes."""


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """`growsearch decode`."""

    out: str
    """The folder of the decoded pictures."""
    pictures: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Listed:
    """`growsearch list`; with the name of one component, a list of that one."""

    components: list[Row]
    """Each component: kind, name, help, source, whether it is of a plugin, and its options, each an
    object with name, help, role, default (as text) and choices."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """`growsearch record`."""

    study: str
    out: str
    file: str
    """The table of all epochs."""
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Exported:
    """`growsearch export`."""

    file: str
    bytes: int
    trial: str
    """Name of the trial whose network it is, or best."""
    epoch: str
    format: str


@dataclass(frozen=True, kw_only=True)
class Best:
    """`growsearch best`."""

    trial: str
    """The trial of the best metric among `trials`."""
    trials: list[str]
    """The trials of the best configuration: its seeds."""
    mean: dict[str, float]
    """By column, the mean over these trials."""
    std: dict[str, float | None]
    """Their standard deviation; null for one trial."""
    misses: list[str]
    """The constraints that are not met."""
    command: str
    """The command that trains `trial` again."""
    meets: bool
    """Whether all constraints are met."""
    config: Row
    """The options of `trial`."""


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """`growsearch predict`: a list of such objects."""

    file: str
    label: int
    """The number of the class, from 0."""
    name: str
    """What the class is called."""
    probability: float


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """`growsearch replay`."""

    cost: str
    metric: str
    paid_in: str
    """The cost in which is counted what a search pays."""
    seeds: int
    """The number of orders."""
    trials: int
    front: int
    """The number of trials on the front."""
    distinct_percent: float
    """The cost of the distinct epochs, in percent of all epochs."""
    front_percent: float
    """The cost of the front's distinct epochs, in percent of all epochs."""
    schedulers: list[Row]
    """What each did: the fields of `growsearch.tuning.replays.ContenderResult`."""


@dataclass(frozen=True, kw_only=True)
class Reproduced:
    """`growsearch reproduce`."""

    name: str
    place: str
    """Where it is in the paper."""
    title: str
    scale: str
    note: str
    """What is smaller than in the paper."""
    verdict: str
    sentence: str
    """The verdict with its numbers."""
    trials: Row
    """How many are expected and completed."""
    paper: Row
    """The paper's numbers by group, row and quantity."""
    ours: Row
    """Ours."""
    claims: list[Row]
    """Each claim with mean, interval, seeds and verdict."""


@dataclass(frozen=True, kw_only=True)
class Reproducible:
    """`growsearch reproduce --list`: a list of such objects."""

    name: str
    place: str
    """Where it is in the paper."""
    title: str


@dataclass(frozen=True, kw_only=True)
class Begun:
    """`growsearch reproduce --one-epoch`: a list of such objects."""

    group: str
    row: str
    """The row whose trial it is, the first of its group."""
    record: Row
    """Its first epoch: the fields of EpochRecord."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """`growsearch compare`."""

    cost: str
    metric: str
    minimized: bool
    """Whether less of the metric is better."""
    unit: str
    """The cost in which is counted what searches pay."""
    bounds: Row
    """The ranges of cost and metric that scale hypervolumes; a loss is negated."""
    hypervolume: float
    """The hypervolume of the joint front."""
    studies: list[Row]
    """The fields of `growsearch.comparing.found.StudyResult`."""
    front: list[Row]
    """The joint front: cost, metric, the studies and the trials of each point."""
    pairs: list[Row]
    """The fields of `growsearch.comparing.found.PairResult`."""
    differences: list[str]
    """Why the studies must not be compared, if `--force` was given."""
    notes: list[str]
    """What limits these numbers: a metric without its plugin, other numbers of seeds, no log."""


DOCUMENTS = (
    Trained, Searched, Reported, Compared, Best, Planned, Checked, Diagnosed, Replayed, Reproduced,
    Reproducible, Begun, Listed, Stored, Collected, Recorded, Exported, Predicted, Decoded, Fetched,
)  # fmt: skip
"""Each command's, in the order of the reference."""
