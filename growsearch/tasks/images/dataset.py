"""The splits of a data set, and normalized batches of their images."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from growsearch.machine.batches import ALL, Share
from growsearch.machine.randomness import generator
from growsearch.tasks.images.arrays import parts_of
from growsearch.tasks.images.divisions import balanced, draw_by_class
from growsearch.tasks.images.images import Images, Split
from growsearch.tasks.images.mapped import placed
from growsearch.tasks.images.own import OwnImages
from growsearch.tasks.images.spec import DataSpec
from growsearch.trial.components import component
from growsearch.trial.errors import InputError
from growsearch.trial.options import Value


@dataclass(frozen=True)
class Dataset:
    """Three splits: growth and search depend on `val`; `test` is only recorded.

    They are disjoint, except that `test` is `val` with split="autogrow-paper"; see
    `load_dataset`.
    """

    train: Split
    val: Split
    test: Split
    spec: DataSpec
    arrays: Mapping[str, Value] | None = field(default_factory=dict, compare=False)
    """Options of the data set "arrays" that made it of arrays in Python; None if it was loaded."""

    def __repr__(self) -> str:
        counts = ", ".join(
            f"{name}={len(getattr(self, name))}" for name in ("train", "val", "test")
        )
        return f"Dataset({counts}, classes={self.classes}, image_shape={self.image_shape})"

    @classmethod
    def from_arrays(
        cls, X: Any, y: Any, val: Any = 0.1, test: Any = 0.1, class_names: Any = None,
        augmentation: str = "none",
    ) -> "Dataset":  # fmt: skip
        """A data set of your own images, for `Trainer(config, dataset=...)`.

        `X` has the images, uint8 or floats (kept as float32), as (N, H, W), (N, H, W, C) or (N, C,
        H, W); `y`, (N,), their classes: integers or text. `val` and `test` are shares of each
        class's images, the same ones for every trial, or pairs like (X, y). `class_names` are
        those of the labels 0, 1, ...; without them the sorted labels are the classes. Training
        images may be varied: `augmentation` is "none", "flip", "crop" or "flip-crop". Images are
        normalized by mean and deviation of those to train on. Raises InputError if an array is not
        right, or a class has too few images.
        """
        pairs = {name: v for name, v in (("val", val), ("test", test)) if isinstance(v, tuple)}
        options = {"augmentation": augmentation} if augmentation != "none" else {}
        options |= {
            f"{name}_fraction": share
            for name, share in (("val", val), ("test", test))
            if name not in pairs
        }
        source = component("dataset", "arrays")(**options)
        assert isinstance(source, OwnImages)
        parts = parts_of(source, X, y, **pairs, class_names=class_names)
        given = {name: value for name, value in source.values().items() if value is not None}
        return cls(*parts, arrays=given)

    @property
    def classes(self) -> int:
        return self.spec.classes

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        return self.train.image_shape

    @property
    def digest(self) -> str:
        """A hash of splits, augmentation and normalization; the same on every host."""
        parts = [split.digest for split in (self.train, self.val, self.test)]
        return hashlib.sha256(f"{parts} {self.spec}".encode()).hexdigest()

    @property
    def description(self) -> dict[str, Any]:
        """Digest and normalization, in JSON's types."""
        return {"digest": self.digest, **self.spec.normalization}

    def to(self, device: torch.device) -> "Dataset":
        """The data set for training on `device`; `placed` says where its images are kept."""
        train, val = placed(self.train, device), placed(self.val, device)
        test = val if self.test is self.val else placed(self.test, device)
        return replace(self, train=train, val=val, test=test)

    def subset(self, train_size: int, seed: int) -> "Dataset":
        """The data set with `train_size` training images, which are drawn from `seed`.

        Classes get equal numbers of images as far as they have enough. Raises InputError if
        there are fewer than `train_size` training images.
        """
        if train_size > len(self.train):
            raise InputError(
                f"train_size must be at most {len(self.train)}, the number of training images, "
                f"but got {train_size}"
            )
        counts = np.bincount(self.train.labels.numpy(), minlength=self.classes)
        wanted = balanced(counts, train_size)
        chosen = draw_by_class(self.train.labels, wanted, generator(seed, 0, "training subset"))
        return replace(self, train=self.train[chosen])

    def padded(self, image_size: int) -> "Dataset":
        """The data set with each image centred on black, `image_size` by `image_size` pixels.

        Raises InputError if the images are larger, or are cropped from pictures.
        """
        splits = {name: getattr(self, name).padded(image_size) for name in ("train", "val", "test")}
        return replace(self, **splits)

    def training_batches(
        self, batch_size: int, seed: int, epoch: int, share: Share = ALL
    ) -> Iterator[Images]:
        """One pass over the training images; `seed` and `epoch` decide order and augmentation.

        `share=(i, n)` yields every n-th image of each batch, from the i-th. Images are normalized,
        float32 [n, channels, height, width]. Raises InputError if an image file cannot be read.
        """
        draw = generator(seed, epoch, "training batches")
        return self._normalized(self.train.augmented_batches(batch_size, self.spec, draw, share))

    def evaluation_batches(self, split: Split, batch_size: int) -> Iterator[Images]:
        """One pass over `split` in its order, without augmentation, normalized like training."""
        return self._normalized(split.batches(batch_size))

    def _normalized(self, batches: Iterator[Images]) -> Iterator[Images]:
        device = self.train.labels.device
        # copied to the device once, because each copy waits for the device
        mean, std = (_by_channel(values, device) for values in (self.spec.mean, self.spec.std))
        for batch in batches:
            images = (batch.images.float() / self.spec.pixel_max - mean) / std
            yield Images(images, batch.labels)


def _by_channel(values: tuple[float, ...], device: torch.device) -> Tensor | float:
    """[channels, 1, 1]; for one channel a number, as a GPU divides by it with another rounding."""
    if len(values) == 1:
        return values[0]
    return torch.tensor(values, device=device)[:, None, None]
