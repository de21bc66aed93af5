"""How many epochs a search will train, before it trains any."""

from dataclasses import dataclass
from typing import Any

from growsearch.policies.path import BLANK, TrialPath
from growsearch.search.sharing import root_of
from growsearch.trial.choices import AUTOGROW, LIPGROW
from growsearch.trial.config import TrialConfig
from growsearch.trial.defaults import first_chance


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

    A trial's way is known until data may decide a growth: with a fixed schedule to its end. What
    follows may be all its own, or all shared.
    """
    known: set[tuple[Any, ...]] = set()
    places: dict[tuple[Any, ...], int] = {}
    unknown = longest = nominal = 0
    for config in drawn:
        path, place = TrialPath(config), places.setdefault(root_of(config), len(places))
        while not path.ended and len(path.history.trained) < _known_epochs(config):
            step = (place, path.next_epoch())
            known.add(step)
            place = places.setdefault(step, len(places))
            path.extend(BLANK)
        epochs = len(path.history)
        rest = 0 if path.ended else config.epochs - len(path.history.trained)
        unknown += rest
        nominal += epochs + rest
        longest = max(longest, epochs + rest)
    return Plan(len(drawn), nominal, max(len(known), longest), len(known) + unknown)


def _known_epochs(config: TrialConfig) -> int:
    """Epochs after which data may decide a growth for the first time."""
    if config.policy in LIPGROW:
        assert config.window and config.reserve
        return config.window + 1
    if config.policy in AUTOGROW:
        return first_chance(config)
    if config.initializer == "adam" and config.growth_epochs:
        return config.growth_epochs[0]
    return config.epochs
