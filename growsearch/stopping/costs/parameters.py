"""Costs that count parameters."""

from dataclasses import dataclass

from growsearch.stopping.cost import Cost, EpochWork
from growsearch.trial.components import register
from growsearch.trial.history import EpochRecord


@register("cost", "param_epochs", source="LipGrow, section 5.3")
@dataclass(frozen=True, kw_only=True)
class ParameterEpochs(Cost):
    """The parameters trained, summed over epochs."""

    unit, title = "parameters * epochs", "parameter-epochs"
    column = "param_epochs"

    def of_epoch(self, work: EpochWork, record: EpochRecord) -> float:
        return work.parameters

    def least(self, work: EpochWork) -> float:
        return work.parameters


@register("cost", "ppe", source="LipGrow, section 5.3")
@dataclass(frozen=True, kw_only=True)
class ParametersPerEpoch(ParameterEpochs):
    """The parameters trained, as the mean over epochs (PPE)."""

    unit, title = "parameters per epoch", "PPE (parameters per epoch)"
    column = "ppe"
    mean = True
