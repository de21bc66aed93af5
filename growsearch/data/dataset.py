"""A data set in its splits, and the batches that are made of them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from growsearch.data.augmentation import cropped, mirrored, rotated
from growsearch.data.images import Images, balanced, draw_by_class
from growsearch.errors import InputError
from growsearch.randomness import generator


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """What is known of a data set before its files are read."""

    classes: int
    val_per_class: int
    """Images of each class that the split "clean" takes out of training for validation."""
    mean: tuple[float, ...]
    """Of the training images' pixels between 0 and 1, one a channel; `std` likewise."""
    std: tuple[float, ...]
    pixel_max: int = 255
    flip: bool = False
    """Whether training images are mirrored left to right half of the time."""
    crop: int = 0
    """Training images are shifted by up to so many pixels, black coming in (pad and crop)."""
    rotation: float = 0
    """Training images are turned by up to so many degrees either way, black coming in."""
    test_shuffled: bool = False
    """Whether the split "paper" shuffles the test images before it halves them, so that halves of
    images that are kept by class have all classes."""


@dataclass(frozen=True)
class Dataset:
    """Three disjoint splits: `val` steers growth and search, `test` is recorded only."""

    train: Images
    val: Images
    test: Images
    spec: DataSpec

    @property
    def classes(self) -> int:
        return self.spec.classes

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    def to(self, device: torch.device) -> "Dataset":
        splits = {name: getattr(self, name).to(device) for name in ("train", "val", "test")}
        return replace(self, **splits)

    def subset(self, train_size: int, seed: int) -> "Dataset":
        """The same data set with `train_size` training images, as many of each class as can be.

        Raises InputError if there are not so many.
        """
        if train_size > len(self.train):
            raise InputError(
                f"train_size must be at most {len(self.train)}, the training images that there "
                f"are, but got {train_size}"
            )
        counts = np.bincount(self.train.labels.numpy(), minlength=self.classes)
        wanted = balanced(counts, train_size)
        chosen = draw_by_class(self.train.labels, wanted, generator(seed, 0, "training subset"))
        return replace(self, train=self.train[chosen])

    def training_batches(self, batch_size: int, seed: int, epoch: int) -> Iterator[Images]:
        """One pass over the training images; order and augmentation are drawn for this epoch.

        A batch's images are normalized, float32 [n, channels, height, width].
        """
        spec, device, n = self.spec, self.train.labels.device, len(self.train)
        draw = generator(seed, epoch, "training batches")
        order = torch.randperm(n, generator=draw).to(device)
        flips = (torch.rand(n, generator=draw) < 0.5).to(device)
        shifts = torch.randint(2 * spec.crop + 1, (2, n), generator=draw).to(device)
        if spec.rotation:
            turns = ((2 * torch.rand(n, generator=draw) - 1) * spec.rotation).to(device)
        for start in range(0, n, batch_size):
            chosen = slice(start, start + batch_size)
            batch = self.train[order[chosen]]
            images = batch.images
            if spec.flip:
                images = mirrored(images, flips[chosen])
            if spec.crop:
                images = cropped(images, spec.crop, *shifts[:, chosen])
            if spec.rotation:
                images = rotated(images, turns[chosen])
            yield Images(self._normalized(images), batch.labels)

    def evaluation_batches(self, split: Images, batch_size: int) -> Iterator[Images]:
        """One pass over `split` in its order, normalized like training images."""
        for images, labels in zip(
            split.images.split(batch_size), split.labels.split(batch_size), strict=True
        ):
            yield Images(self._normalized(images), labels)

    def _normalized(self, images: Tensor) -> Tensor:
        mean = _by_channel(self.spec.mean, images.device)
        std = _by_channel(self.spec.std, images.device)
        return (images.float() / self.spec.pixel_max - mean) / std


def _by_channel(values: tuple[float, ...], device: torch.device) -> Tensor | float:
    """[channels, 1, 1]; a number for one channel, by which a GPU divides with another rounding."""
    if len(values) == 1:
        return values[0]
    return torch.tensor(values, device=device)[:, None, None]
