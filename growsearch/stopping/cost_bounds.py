"""The least that a trial can cost in the end, at each of its epochs.

Networks only grow. So the cost of the epochs so far, and of those left at the sizes that are
certain, is a lower bound. It never falls, is the cost itself at the end, and is exact from the
first epoch on where the schedule is fixed. AutoGrow's trials are open-ended: they have at least
their fine-tuning before them, and more and larger epochs can only raise their mean. Where data end
the epochs that train new blocks apart, these may be more than is certain, and those of a small
network lower the mean of all.
"""

import copy
from collections.abc import Callable, Sequence
from itertools import accumulate

from growsearch.stopping.cost import (
    EpochWork,
    check_least,
    cost_of_epoch,
    costs,
    least_of_epoch,
    work_of,
)
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import FINE_TUNING, INITIALIZING, EpochRecord
from growsearch.trial.path import TrialPath

Size = Callable[[str], tuple[int, int]]
"""Gives an architecture's parameters, and its multiply-accumulates for one image."""


class CostBound:
    """Follows one trial, whose networks have the sizes that `size` tells."""

    def __init__(self, config: TrialConfig, size: Size) -> None:
        self.path = TrialPath(config)
        self.size = size
        self._ahead: list[str] = []
        """The architectures of the epochs that are left at least, the next one last."""
        self._costs = costs()
        self._spent = dict.fromkeys(self._costs, 0.0)
        self._least = {name: [0.0] for name in self._costs}
        """The least cost of the first k epochs of `_ahead`, for each k."""
        self._flops = 0.0
        self._works: dict[str, EpochWork] = {}
        self._apart: set[str] = set()
        """Networks ahead whose new blocks may be trained apart for longer."""

    def extend(self, record: EpochRecord) -> None:
        """One epoch more."""
        expected = bool(self._ahead) and self._ahead.pop() == record.architecture
        self.path.follow(record)
        work = work_of(record, self._flops)
        self._flops = record.train_flops
        for name, cost in self._costs.items():
            spent = cost_of_epoch(cost, work, record)
            check_least(cost, work, spent, record.epoch)
            self._spent[name] += spent
        goes_on = [] if self.path.ended else [self.path.architecture]
        open_ended = self.path.config.policy.finetune_epochs is not None
        if not expected or self._ahead[-1:] != goes_on or open_ended or self._apart:
            self._ahead = self._least_ahead()
            works = [EpochWork(a, *self.size(a), work.images, work.tokens) for a in self._ahead]
            self._works = dict(zip(self._ahead, works, strict=True))
            for name, cost in self._costs.items():
                ahead = (least_of_epoch(cost, one) for one in works)
                self._least[name] = list(accumulate(ahead, initial=0.0))

    def costs(self, names: Sequence[str]) -> tuple[float, ...]:
        """Lower bounds of the final costs of these names."""
        return tuple(self._bound(name) for name in names)

    def spent(self, name: str) -> float:
        """What the epochs so far cost to train, summed over them, shared ones included."""
        return self._spent[name]

    @property
    def growths_left(self) -> int:
        """How often the network will at least still grow."""
        return max(len(set(self._ahead)) - 1, 0) + self.path.history[-1].grew

    def _bound(self, name: str) -> float:
        total = self._spent[name] + self._least[name][len(self._ahead)]
        cost, epochs = self._costs[name], len(self.path.history) + len(self._ahead)
        if not cost.mean:
            return total
        more = (least_of_epoch(cost, self._works[a]) for a in self._apart)
        return min([total / epochs, *more])

    def _least_ahead(self) -> list[str]:
        path, policy = copy.copy(self.path), self.path.config.policy
        if policy.finetune_epochs is not None:
            if path.ended:
                return []
            tuned = sum(record.phase == FINE_TUNING for record in path.history)
            left = self.path.config.epochs - len(path.history.trained)
            return [path.architecture] * min(policy.finetune_epochs - tuned, left)
        ahead, chosen = [], self.path.config.initializer
        open_ended = chosen is not None and not chosen.apart_known
        self._apart = set()
        while not path.ended:
            ahead.append(path.architecture)
            if path.phase == INITIALIZING and open_ended:
                self._apart.add(path.architecture)
            path.assume()
        return ahead[::-1]


def sizes_of(config: TrialConfig) -> Size:
    """The sizes of the networks that the trial may have."""
    return _Sizes(config)


class _Sizes:
    """A Size that is pickled: Tune writes schedulers to a file when a search starts."""

    def __init__(self, config: TrialConfig) -> None:
        self._config = config
        self._known: dict[str, tuple[int, int]] = {}

    def __call__(self, architecture: str) -> tuple[int, int]:
        if architecture not in self._known:
            self._known[architecture] = self._config.task.size(Architecture(architecture))
        return self._known[architecture]
