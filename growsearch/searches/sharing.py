"""Which trials would train the same epochs, so that only one of them does at a time."""

from functools import lru_cache

from growsearch.trial.config import TrialConfig
from growsearch.trial.history import History
from growsearch.trial.options import Role
from growsearch.trial.path import TrialPath

_ROOT_ROLES = (Role.DATA, Role.NETWORK, Role.EPOCH, Role.MACHINE)


def growth_order(config: TrialConfig) -> tuple[object, ...]:
    """Sorts trials by how early they part from others: where they grow, decay and end.

    Those that part later continue from states that the earlier ones keep there. Trials whose growth
    depends on data follow those whose growth is known, each policy's by itself; last come those
    that never grow nor decay.
    """
    policy = config.policy
    decay = config.lr_schedule.parts_after(config)
    ends = (config.epochs,) if decay is None else (decay, config.epochs)
    places = (*policy.earliness(), *ends)
    if policy.known_epochs(config) < config.epochs:
        return 1, policy.name, places
    return 0 if len(places) > 1 else 2, "", tuple(sorted(places))


@lru_cache(maxsize=10_000)
def root_of(config: TrialConfig) -> tuple[object, ...]:
    """What the first epoch depends on but for its learning rate; the data by their name."""
    return tuple(config.values(*_ROOT_ROLES).items())


class Follower:
    """Whether a waiting trial still trains the same epochs as a running one."""

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
            self.waiting.follow(known[epoch])
            self.running.follow(known[epoch])
        return self.follows
