"""Floating-point operations of training."""

from dataclasses import dataclass

from growsearch.stopping.cost import Cost, EpochWork
from growsearch.tasks.flops import FLOPS_PER_MAC
from growsearch.trial.components import register
from growsearch.trial.history import EpochRecord


@register("cost", "flops")
@dataclass(frozen=True, kw_only=True)
class TrainingFlops(Cost):
    """The floating-point operations of training, summed over epochs."""

    unit, title = "FLOPs", "training FLOPs"
    column = "train_flops"

    def of_epoch(self, work: EpochWork, record: EpochRecord) -> float:
        return FLOPS_PER_MAC * work.images * work.macs

    def least(self, work: EpochWork) -> float:
        return FLOPS_PER_MAC * work.images * work.macs
