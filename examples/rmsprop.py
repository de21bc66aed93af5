"""An optimizer of your own: RMSprop.

growsearch train --plugin examples/rmsprop.py --optimizer rmsprop --smoothing 0.95 --epochs 10
"""

from dataclasses import dataclass

from growsearch import Optimizer, option, register


@register("optimizer", "rmsprop", source="Tieleman and Hinton 2012")
@dataclass(frozen=True, kw_only=True)
class RMSprop(Optimizer):
    """Gradients divided by the root of a running mean of their squares."""

    proposals = {"lr": 0.001}  # the trial's, unless it is given another

    smoothing: float = option(0.99, "share of the mean that a step keeps", least=0, below=1)

    def build(self, parameters, lr, weight_decay):
        import torch

        return torch.optim.RMSprop(
            parameters, lr=lr, weight_decay=weight_decay, alpha=self.smoothing
        )
