"""A data set in its splits, and the normalized batches that are made of them."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from growsearch.machine.randomness import generator
from growsearch.tasks.images.divisions import balanced, draw_by_class
from growsearch.tasks.images.images import ALL, Images, Share, Split
from growsearch.tasks.images.mapped import placed
from growsearch.tasks.images.spec import DataSpec
from growsearch.trial.errors import InputError


@dataclass(frozen=True)
class Dataset:
    """Three splits: `val` steers growth and search, `test` is recorded only.

    They are disjoint, but for those of AutoGrow's program; see `load_dataset`.
    """

    train: Split
    val: Split
    test: Split
    spec: DataSpec

    @property
    def classes(self) -> int:
        return self.spec.classes

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.train.image_shape

    @property
    def digest(self) -> str:
        """The same for the same splits, augmentation and normalization, on any host."""
        parts = [split.digest for split in (self.train, self.val, self.test)]
        return hashlib.sha256(f"{parts} {self.spec}".encode()).hexdigest()

    def to(self, device: torch.device) -> "Dataset":
        train, val = placed(self.train, device), placed(self.val, device)
        test = val if self.test is self.val else placed(self.test, device)
        return replace(self, train=train, val=val, test=test)

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

    def padded(self, image_size: int) -> "Dataset":
        """The same images in the middle of black ones of `image_size` by `image_size` pixels.

        Raises InputError if they are larger, or if their size is not theirs to choose.
        """
        splits = {name: getattr(self, name).padded(image_size) for name in ("train", "val", "test")}
        return replace(self, **splits)

    def training_batches(
        self, batch_size: int, seed: int, epoch: int, share: Share = ALL
    ) -> Iterator[Images]:
        """One pass over the training images; order and augmentation are drawn for this epoch.

        Of each batch there are those of one `share`. A batch's images are normalized, float32 [n,
        channels, height, width]. Raises InputError for an image file that cannot be read.
        """
        draw = generator(seed, epoch, "training batches")
        return self._normalized(self.train.augmented_batches(batch_size, self.spec, draw, share))

    def evaluation_batches(self, split: Split, batch_size: int) -> Iterator[Images]:
        """One pass over `split` in its order, normalized like training images."""
        return self._normalized(split.batches(batch_size))

    def _normalized(self, batches: Iterator[Images]) -> Iterator[Images]:
        device = self.train.labels.device
        # sent to the device once: each time, it is waited for
        mean, std = (_by_channel(values, device) for values in (self.spec.mean, self.spec.std))
        for batch in batches:
            images = (batch.images.float() / self.spec.pixel_max - mean) / std
            yield Images(images, batch.labels)


def _by_channel(values: tuple[float, ...], device: torch.device) -> Tensor | float:
    """[channels, 1, 1]; a number for one channel, by which a GPU divides with another rounding."""
    if len(values) == 1:
        return values[0]
    return torch.tensor(values, device=device)[:, None, None]
