"""Wall time."""

from dataclasses import dataclass

from growsearch.stopping.cost import Cost, EpochWork
from growsearch.trial.components import register
from growsearch.trial.history import EpochRecord


@register("cost", "seconds")
@dataclass(frozen=True, kw_only=True)
class Seconds(Cost):
    """The wall time of all epochs. How long an epoch takes is not known before it is trained."""

    unit = "s"
    column = "seconds"

    def of_epoch(self, work: EpochWork, record: EpochRecord) -> float:
        return record.seconds
