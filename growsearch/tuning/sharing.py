"""Which trials would train the same epochs, so that only one of them does at a time."""

from dataclasses import replace

from growsearch.choices import DATA, GROWING
from growsearch.config import TrialConfig
from growsearch.decisions import Grow, completes, next_phase
from growsearch.growth_policies import decide
from growsearch.history import INITIALIZING, TRAINING, EpochRecord, History
from growsearch.lr_schedules import learning_rate

_ROOT = (
    *DATA, "network", "architecture", "bn_gamma_init", "batch_size", "weight_decay", "seed",
    "device",
)  # fmt: skip


def growth_order(config: TrialConfig) -> tuple[object, ...]:
    """Sorts trials by how early they are to grow.

    Those that grow later go on from states that the earlier ones keep before they grow.
    """
    return config.growth_epochs or (), config.rtol or 0, config.interval or 0


def root_of(config: TrialConfig) -> tuple[object, ...]:
    """What the first epoch depends on but for its learning rate; the data by their name."""
    return tuple(getattr(config, name) for name in _ROOT)


class Path:
    """A trial's way through the tree of epochs, as far as it is known."""

    def __init__(self, config: TrialConfig) -> None:
        self.config = config
        self.history = History()
        self.phase, self.architecture = TRAINING, config.architecture
        self.grew: tuple[str, ...] | None = None
        """The growth after the last epoch: to what, and how."""
        self.ended = False

    def extend(self, record: EpochRecord) -> None:
        """One epoch more, of which another trial's `record` may tell: the policy is this one's."""
        record = replace(
            record, phase=self.phase, architecture=self.architecture, grew=False, status="running"
        )
        history = self.history.plus(record)
        self.ended = completes(self.config, history)
        decision = None if self.ended else decide(self.config, history)
        self.grew = None
        if isinstance(decision, Grow):
            self.architecture = str(decision.architecture)
            options = (str(getattr(self.config, name)) for name in GROWING)
            self.grew = (self.architecture, *options)
            history = History((*history[:-1], replace(record, grew=True)))
        self.history = history
        self.phase = next_phase(self.config, history, decision)

    def next_epoch(self) -> tuple[object, ...]:
        """What the next epoch adds to the last one; equal for trials that share it."""
        lr = learning_rate(self.config, self.history, self.phase)
        return self.grew, lr, self.phase == INITIALIZING


class Follower:
    """Whether a waiting trial still goes the way of a running one."""

    def __init__(self, waiting: TrialConfig, running: TrialConfig) -> None:
        self.follows = root_of(waiting) == root_of(running)
        self.waiting, self.running = Path(waiting), Path(running)

    def update(self, known: History) -> bool:
        """Whether it does after `known`, all records of the running trial so far."""
        while self.follows:
            self.follows = (
                not self.waiting.ended and self.waiting.next_epoch() == self.running.next_epoch()
            )
            epoch = len(self.running.history)
            if not self.follows or epoch == len(known):
                break
            self.waiting.extend(known[epoch])
            self.running.extend(known[epoch])
        return self.follows
