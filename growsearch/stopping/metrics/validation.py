"""What validation data say of a network."""

from dataclasses import dataclass

from growsearch.stopping.cost import Metric
from growsearch.trial.components import register


@register("metric", "val_accuracy")
@dataclass(frozen=True, kw_only=True)
class ValidationAccuracy(Metric):
    """Validation accuracy in percent."""

    column = "val_accuracy"
    reads = ("accuracy",)
    lowest, highest = 0.0, 100.0


@register("metric", "val_loss")
@dataclass(frozen=True, kw_only=True)
class ValidationLoss(Metric):
    """Validation loss in nats."""

    column = "val_loss"
    lowest, highest = -10.0, 0.0
    minimized = True
