"""torchvision's vision transformer that grows, on scikit-learn's digits.

growsearch train --plugin examples/vit.py --task vit --growth-epochs 5 --epochs 10
"""

from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from torchvision.models import VisionTransformer

from growsearch import Task, generator, option, register


@register("task", "vit")
@dataclass(frozen=True, kw_only=True)
class ViT(Task):
    """Tell handwritten digits apart."""

    stacks = ("encoder.layers",)
    residual = True
    proposals = {"policy": "fixed", "initializer": "copy", "lr": 3e-4, "weight_decay": 0.05}
    hidden: int = option(32, "numbers a patch", least=8)

    def build(self, architecture):
        return VisionTransformer(
            image_size=8, patch_size=2, num_layers=architecture.blocks[0], num_heads=4,
            hidden_dim=self.hidden, mlp_dim=4 * self.hidden, num_classes=10,
        )  # fmt: skip

    def load(self, data_dir):
        digits = load_digits()
        images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
        order = torch.randperm(len(images), generator=generator(0, 0, "split"))
        return images.expand(-1, 3, -1, -1)[order], torch.tensor(digits.target)[order]

    def batches(self, split, seed, epoch):
        images, labels = self.loaded
        chosen = {"train": torch.arange(1500), "val": torch.arange(1500, len(images))}[split]
        if split == "train":
            chosen = chosen[torch.randperm(1500, generator=generator(seed, epoch, "order"))]
        for part in chosen.split(self.trial.batch_size):
            yield images[part], labels[part]

    def optimizer(self, model):
        return torch.optim.AdamW(
            model.parameters(), lr=self.trial.lr, weight_decay=self.trial.weight_decay
        )
