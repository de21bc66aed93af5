"""Which trials would train the same epochs, so that only one of them does at a time."""

from growsearch.policies.path import TrialPath
from growsearch.trial.choices import DATA
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import History

_ROOT = (
    *DATA, "network", "architecture", "bn_gamma_init", "batch_size", "weight_decay", "seed",
    "device", "precision", "compile",
)  # fmt: skip


def growth_order(config: TrialConfig) -> tuple[object, ...]:
    """Sorts trials by how early they are to grow.

    Those that grow later go on from states that the earlier ones keep before they grow.
    """
    return config.growth_epochs or (), config.rtol or 0, config.interval or 0


def root_of(config: TrialConfig) -> tuple[object, ...]:
    """What the first epoch depends on but for its learning rate; the data by their name."""
    return tuple(getattr(config, name) for name in _ROOT)


class Follower:
    """Whether a waiting trial still goes the way of a running one."""

    def __init__(self, waiting: TrialConfig, running: TrialConfig) -> None:
        self.follows = root_of(waiting) == root_of(running)
        self.waiting, self.running = TrialPath(waiting), TrialPath(running)

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
