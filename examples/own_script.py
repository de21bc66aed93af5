"""A training script of the usual kind, turned into a task: own_script.diff shows what changed.

growsearch train --plugin examples/own_script.py --task digits-mlp --epochs 10 --growth-epochs 5
"""

from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

from growsearch import Task, generator, option, register


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm, self.layer = nn.BatchNorm1d(width), nn.Linear(width, width)

    def forward(self, x):
        return x + self.layer(F.relu(self.norm(x)))


class Net(nn.Module):
    def __init__(self, depth, width):
        super().__init__()
        self.first = nn.Linear(64, width)
        self.blocks = nn.ModuleList(Residual(width) for _ in range(depth))
        self.last = nn.Linear(width, 10)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.last(x)


def data():
    digits = load_digits()
    images = torch.tensor(digits.data, dtype=torch.float32) / 16
    return images, torch.tensor(digits.target)


@register("task", "digits-mlp")
@dataclass(frozen=True, kw_only=True)
class Digits(Task):
    """Tell handwritten digits apart."""

    stacks = ("blocks",)
    proposals = {"policy": "fixed", "batch_size": 64, "lr": 0.05, "weight_decay": 0.0}
    width: int = option(32, "units of a layer", least=1)

    def build(self, architecture):
        return Net(architecture.blocks[0], self.width)

    def load(self, data_dir):
        return data()

    def batches(self, split, seed, epoch):
        images, labels = self.loaded
        if split == "val":
            yield images[1500:], labels[1500:]
            return
        draw = generator(seed, epoch, "order")
        for part in torch.randperm(1500, generator=draw).split(self.trial.batch_size):
            yield images[part], labels[part]
