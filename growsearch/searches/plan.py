"""How many epochs a search will train, before it trains any."""

from dataclasses import dataclass

from growsearch.searches.tree import Tree
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
    tree = Tree()
    ways = [tree.known(config) for config in drawn]
    known = {node for nodes, _ in ways for node in nodes}
    lengths = [len(nodes) + rest for nodes, rest in ways]
    fewest = max(len(known), *lengths, 0)
    return Plan(len(drawn), sum(lengths), fewest, len(known) + sum(rest for _, rest in ways))
