"""Labelled images: what a split can do, and a split in memory."""

import hashlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from growsearch.tasks.images.augmentation import cropped, mirrored, rotated
from growsearch.tasks.images.spec import DataSpec
from growsearch.trial.errors import InputError

Share = tuple[int, int]
"""Which of how many equal ones."""
ALL: Share = (0, 1)


class Split(ABC):
    """Images and their `labels`, int64 [n], which are where batches are made."""

    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    @abstractmethod
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""

    @abstractmethod
    def __getitem__(self, index: Tensor) -> "Split": ...

    @abstractmethod
    def to(self, device: torch.device) -> "Split": ...

    @abstractmethod
    def padded(self, size: int) -> "Split":
        """In the middle of black images of `size` by `size` pixels; InputError if that is wrong."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """The same for the same images and labels, on any host."""

    @abstractmethod
    def batches(self, batch_size: int) -> "Iterator[Images]":
        """All images in their order."""

    @abstractmethod
    def augmented_batches(
        self, batch_size: int, spec: DataSpec, draw: torch.Generator, share: Share = ALL
    ) -> "Iterator[Images]":
        """All images in an order that is drawn, changed at random as `spec` says.

        Of each batch there are those of one `share`.
        """


class Pixels(Split):
    """Images of one size, that are changed a whole batch at once on the device of the labels."""

    @property
    @abstractmethod
    def home(self) -> torch.device:
        """Where the images are kept."""

    @abstractmethod
    def at(self, index: Tensor) -> "Images":
        """Those of `index`, which is on `home`, on the device."""

    def augmented_batches(
        self, batch_size: int, spec: DataSpec, draw: torch.Generator, share: Share = ALL
    ) -> "Iterator[Images]":
        device, n = self.labels.device, len(self)
        order = torch.randperm(n, generator=draw).to(self.home)
        flips = (torch.rand(n, generator=draw) < 0.5).to(device)
        shifts = torch.randint(2 * spec.crop + 1, (2, n), generator=draw).to(device)
        if spec.rotation:
            turns = ((2 * torch.rand(n, generator=draw) - 1) * spec.rotation).to(device)
        for start in range(0, n, batch_size):
            chosen = slice(start + share[0], start + batch_size, share[1])
            batch = self.at(order[chosen])
            images = batch.images
            if spec.flip:
                images = mirrored(images, flips[chosen])
            if spec.crop:
                images = cropped(images, spec.crop, *shifts[:, chosen])
            if spec.rotation:
                images = rotated(images, turns[chosen])
            yield Images(images, batch.labels)


@dataclass(frozen=True)
class Images(Pixels):
    """Images, uint8 [n, channels, height, width], and labels, int64 [n]."""

    images: Tensor
    labels: Tensor

    def __reduce__(self) -> tuple[Any, ...]:
        """By arrays, which Ray's processes on one node share: read-only, as nothing here writes."""
        return _of_arrays, (self.images.cpu().numpy(), self.labels.cpu().numpy())

    @property
    def home(self) -> torch.device:
        return self.images.device

    def at(self, index: Tensor) -> "Images":
        return self[index]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def __getitem__(self, index: Tensor) -> "Images":
        return Images(self.images[index], self.labels[index])

    def to(self, device: torch.device) -> "Images":
        return Images(self.images.to(device), self.labels.to(device))

    def padded(self, size: int) -> "Images":
        height, width = self.images.shape[2:]
        if size < max(height, width):
            raise InputError(
                f"image_size={size} is less than the images' {height}x{width} pixels, and it "
                "only pads; leave it out or choose a larger one"
            )
        top, left = (size - height) // 2, (size - width) // 2
        margins = [left, size - width - left, top, size - height - top]
        return Images(F.pad(self.images, margins), self.labels)

    @cached_property
    def digest(self) -> str:
        return digest_of(tuple(self.images.shape), [self.images], self.labels)

    def batches(self, batch_size: int) -> "Iterator[Images]":
        parts = zip(self.images.split(batch_size), self.labels.split(batch_size), strict=True)
        return (Images(images, labels) for images, labels in parts)


def digest_of(shape: tuple[int, ...], images: Iterable[Tensor], labels: Tensor) -> str:
    """Of images, uint8 and `shape` in all, that come in parts."""
    digest = hashlib.sha256(f"{shape} {torch.uint8}".encode())
    for part in (*images, labels):
        digest.update(part.cpu().contiguous().numpy().data)
    return digest.hexdigest()


def read_only(array: np.ndarray) -> Tensor:
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # that it is
        return torch.from_numpy(array)


def _of_arrays(images: np.ndarray, labels: np.ndarray) -> Images:
    return Images(read_only(images), read_only(labels))
