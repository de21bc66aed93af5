"""The small task that the chaos suite searches with. Its actors and driver watch for faults."""

from dataclasses import dataclass

import torch
from chaos_faults import trains, watch
from torch import nn

from growsearch import Architecture, Task, generator, register

watch()


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.linear(x).relu()


@register("task", "chaos")
@dataclass(frozen=True, kw_only=True)
class Chaos(Task):
    """Tell on which side of a line a point is."""

    stacks = ("1",)
    residual = True

    def build(self, architecture: Architecture) -> nn.Module:
        blocks = nn.Sequential(*(_Block() for _ in range(architecture.blocks[0])))
        return nn.Sequential(nn.Linear(2, 8), blocks, nn.Linear(8, 2))

    def batches(self, split, seed, epoch):
        draw = generator(seed, epoch, "points") if split == "train" else generator(0, 0, split)
        for number in range(8):
            if split == "train" and number == 5:  # further than the hash of the data reads
                trains()
            points = torch.randn(32, 2, generator=draw)
            yield points, (points.sum(1) > 0).long()
