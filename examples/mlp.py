"""An MLP that grows: a model, data and loss of your own in one task.

growsearch train --plugin examples/mlp.py --task rings --epochs 12 --growth-epochs 4 8
"""

from dataclasses import dataclass

import torch
from torch import nn

from growsearch import Architecture, Task, generator, option, register


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.linear(x).relu()


class MLP(nn.Module):
    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(2, width)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(depth)))
        self.last = nn.Linear(width, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.blocks(self.first(x)))


@register("task", "rings")
@dataclass(frozen=True, kw_only=True)
class Rings(Task):
    """Tell three noisy rings apart."""

    stacks = ("blocks",)
    residual = True
    proposals = {"policy": "fixed", "lr": 0.1, "initializer": "copy"}
    width: int = option(32, "units of a hidden layer", least=1, role="seed network")

    def build(self, architecture: Architecture) -> nn.Module:
        return MLP(architecture.blocks[0], self.width)

    def batches(self, split, seed, epoch):
        draw = generator(seed, epoch, "rings") if split == "train" else generator(0, 0, split)
        for _ in range(20):
            rings = torch.randint(3, (64,), generator=draw)
            angle, noise = torch.rand(2, 64, generator=draw)
            radius = (1 + rings + 0.5 * noise)[:, None]
            yield radius * torch.stack([torch.cos(6.3 * angle), torch.sin(6.3 * angle)], 1), rings
