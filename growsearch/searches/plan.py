"""How many epochs a search will train, before it trains any."""

from dataclasses import dataclass

from growsearch.searches.tree import branches
from growsearch.trial.config import TrialConfig


@dataclass(frozen=True)
class Plan:
    """The epochs of a search whose trials share them."""

    trials: int
    nominal: int
    """Epochs of all trials, those that initialize new blocks by adam not counted."""
    fewest: int
    most: int
    """Bounds of the tree's distinct epochs; the same number where every schedule is known."""


def plan_search(drawn: list[TrialConfig]) -> Plan:
    """The tree of `drawn`, exact as far as no data decides.

    A trial's path is known until data may decide something: with a fixed schedule to its end. The
    epochs that follow may all be its own, or all be shared.
    """
    ways = branches(drawn)
    known = {node for way in ways for node in way.nodes[: way.known]}
    lengths = [way.known + way.rest for way in ways]
    fewest = max(len(known), *lengths, 0)
    return Plan(len(drawn), sum(lengths), fewest, len(known) + sum(way.rest for way in ways))
