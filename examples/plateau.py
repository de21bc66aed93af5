"""A policy of your own: grow when validation loss has not fallen for some epochs.

growsearch train --plugin examples/plateau.py --policy plateau --patience-epochs 2 --epochs 20
"""

from dataclasses import dataclass

from growsearch import Architecture, Grow, History, Policy, TrialConfig, option, register


@register("policy", "plateau")
@dataclass(frozen=True, kw_only=True)
class Plateau(Policy):
    """Double the depth when validation loss has not fallen for some epochs."""

    patience_epochs: int = option(3, "epochs without a lower validation loss", least=1)
    doublings: int = option(2, "how often the depth is doubled", least=1)

    def decide(self, trial: TrialConfig, history: History) -> Grow | None:
        losses = [record.val_loss for record in history.since_growth]
        if len(history.growth_epochs) >= self.doublings or len(losses) <= self.patience_epochs:
            return None
        if min(losses[-self.patience_epochs :]) < min(losses[: -self.patience_epochs]):
            return None
        deeper = Architecture(history[-1].architecture).doubled()
        return Grow(deeper, f"loss has not fallen for {self.patience_epochs} epochs")
