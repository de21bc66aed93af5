"""Tokens."""

from dataclasses import dataclass

from growsearch.stopping.cost import Cost, EpochWork
from growsearch.trial.components import register
from growsearch.trial.history import EpochRecord


@register("cost", "tokens")
@dataclass(frozen=True, kw_only=True)
class Tokens(Cost):
    """The tokens trained on, summed over epochs; one an example for tasks without tokens."""

    unit = "tokens"

    def of_epoch(self, work: EpochWork, record: EpochRecord) -> float:
        return work.tokens

    def least(self, work: EpochWork) -> float:
        return work.tokens
