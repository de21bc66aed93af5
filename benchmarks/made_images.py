"""Images that are made, not read: ten patterns under noise, which a small network soon tells apart.

made_images((1, 28, 28), train=1280)
"""

from dataclasses import dataclass

import torch

from growsearch.tasks.images.dataset import Dataset
from growsearch.tasks.images.images import Images
from growsearch.tasks.images.mapped import HostImages
from growsearch.tasks.images.spec import DataSpec

CLASSES = 10


def made_images(
    shape: tuple[int, int, int], train: int, held_out: int = 200, flip: bool = True, crop: int = 0
) -> Dataset:
    """A data set of so many training images, and twice `held_out` others; the same each time.

    `shape` is channels, height, width.
    """
    draw = torch.Generator().manual_seed(0)
    patterns = torch.randint(0, 128, (CLASSES, *shape), generator=draw, dtype=torch.uint8)

    def split(n: int) -> Images:
        labels = torch.arange(n) % CLASSES
        images = torch.randint(0, 128, (n, *shape), generator=draw, dtype=torch.uint8)
        return Images(images.add_(patterns[labels]), labels)

    channels = shape[0]
    spec = DataSpec(
        classes=CLASSES, val_per_class=0, mean=(0.5,) * channels, std=(0.2,) * channels,
        flip=flip, crop=crop,
    )  # fmt: skip
    return Dataset(split(train), split(held_out), split(held_out), spec)


@dataclass(frozen=True)
class OnHost(Dataset):
    """Its images stay on the host, however much of a GPU's memory is free."""

    def to(self, device: torch.device) -> Dataset:
        def kept(images: Images) -> HostImages:
            return HostImages(images.images, torch.arange(len(images)), images.labels.to(device))

        assert isinstance(self.train, Images)
        assert isinstance(self.val, Images)
        assert isinstance(self.test, Images)
        return Dataset(kept(self.train), kept(self.val), kept(self.test), self.spec)
