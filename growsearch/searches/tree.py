"""The tree of epochs that trials will train, as far as it is known before any of them runs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from growsearch.searches.sharing import root_of
from growsearch.stopping.cost import Cost, EpochWork, least_of_epoch
from growsearch.stopping.cost_bounds import Size
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import INITIALIZING
from growsearch.trial.path import TrialPath


@dataclass(frozen=True)
class Way:
    """A trial's way through the tree."""

    nodes: tuple[object, ...]
    """Its epochs; those that trials share are equal."""
    architectures: tuple[str, ...]
    """What each epoch trains at least; certain for the first `known` ones."""
    known: int
    """The number of epochs at the beginning that no data decides."""
    rest: int
    """The number of epochs after them, those that initialize new blocks by adam not counted."""

    def prices(self, cost: Cost, size: Size) -> list[float]:
        """The least cost of each epoch, for one image of one token: relative to other trials."""
        works = (EpochWork(a, *size(a), 1.0, 1.0) for a in self.architectures)
        return [least_of_epoch(cost, work) for work in works]

    def final_cost(self, cost: Cost, size: Size) -> float:
        """The least cost of the trial, in the unit of `prices`; exact where all is known."""
        prices = self.prices(cost, size)
        return sum(prices) / len(prices) if cost.mean else sum(prices)


class Tree:
    """Grows by the ways of trials; equal next epochs at an equal place are one node."""

    def __init__(self) -> None:
        self._places: dict[object, int] = {}

    def add(self, config: TrialConfig) -> Way:
        """The way of a trial.

        Its epochs that data may decide become nodes of its own, with the networks that are certain.
        """
        nodes, rest = self.known(config)
        architectures = (*_known(config).architectures, *_later(config))
        own = [(config, k) for k in range(len(nodes), len(architectures))]
        return Way((*nodes, *own), architectures, len(nodes), rest)

    def known(self, config: TrialConfig) -> tuple[list[object], int]:
        """The nodes of the trial's epochs that no data decides, and Way.rest."""
        place = self._place(root_of(config))
        nodes: list[object] = []
        for step in _known(config).steps:
            place = self._place((place, step))
            nodes.append(place)
        return nodes, _known(config).rest

    def _place(self, step: object) -> int:
        return self._places.setdefault(step, len(self._places))


def ways_of(configs: Iterable[TrialConfig]) -> Sequence[Way]:
    """The ways of the trials through one tree."""
    tree = Tree()
    return [tree.add(config) for config in configs]


class _Known(NamedTuple):
    """The epochs at the beginning of a trial that no data decides."""

    steps: tuple[object, ...]
    """What each adds to the one before."""
    architectures: tuple[str, ...]
    rest: int
    """Way.rest."""


@lru_cache(maxsize=10_000)
def _known(config: TrialConfig) -> _Known:
    path = TrialPath(config)
    steps: list[object] = []
    architectures: list[str] = []
    while _is_known(path):
        architectures.append(path.architecture)
        steps.append(path.next_epoch())
        path.assume()
    rest = 0 if path.ended else config.epochs - len(path.history.trained)
    return _Known(tuple(steps), tuple(architectures), rest)


@lru_cache(maxsize=10_000)
def _later(config: TrialConfig) -> tuple[str, ...]:
    """What each epoch after those trains at least. Of thousands of epochs that takes seconds."""
    path = TrialPath(config)
    for _ in _known(config).steps:
        path.assume()
    architectures: list[str] = []
    while not path.ended:
        architectures.append(path.architecture)
        path.assume()
    return tuple(architectures)


def _is_known(path: TrialPath) -> bool:
    """Whether the next epoch is known before the trial has seen any data."""
    config, trained = path.config, len(path.history.trained)
    data_rates = config.lr_schedule.reads_data and trained > 0
    if path.ended or data_rates or trained >= config.policy.known_epochs(config):
        return False
    apart = path.phase == INITIALIZING
    return not apart or (config.initializer is not None and config.initializer.apart_known)
