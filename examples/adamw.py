"""An optimizer of your own: AdamW.

growsearch train --plugin examples/adamw.py --optimizer adamw --lr 0.002 --epochs 10
"""

from dataclasses import dataclass

from growsearch import Optimizer, option, register


@register("optimizer", "adamw", source="Loshchilov and Hutter 2019")
@dataclass(frozen=True, kw_only=True)
class AdamW(Optimizer):
    """Adam with decoupled weight decay."""

    beta2: float = option(0.999, "decay of the second moment", above=0, most=1)

    def build(self, parameters, lr, weight_decay):
        import torch

        return torch.optim.AdamW(
            parameters, lr=lr, weight_decay=weight_decay, betas=(0.9, self.beta2)
        )
