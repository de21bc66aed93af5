"""How many epochs a search will train, before it trains any."""

from dataclasses import dataclass
from typing import Any

from growsearch.searches.sharing import root_of
from growsearch.searches.tree import is_known
from growsearch.trial.config import TrialConfig
from growsearch.trial.path import TrialPath


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
    known: set[tuple[Any, ...]] = set()
    places: dict[tuple[Any, ...], int] = {}
    unknown = longest = nominal = 0
    for config in drawn:
        path, place = TrialPath(config), places.setdefault(root_of(config), len(places))
        while is_known(path):
            step = (place, path.next_epoch())
            known.add(step)
            place = places.setdefault(step, len(places))
            path.assume()
        epochs = len(path.history)
        rest = 0 if path.ended else config.epochs - len(path.history.trained)
        unknown += rest
        nominal += epochs + rest
        longest = max(longest, epochs + rest)
    return Plan(len(drawn), nominal, max(len(known), longest), len(known) + unknown)
