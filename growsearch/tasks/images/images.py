"""Labelled images: the interface of a split, and a split in memory."""

import hashlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from growsearch.machine.batches import ALL, Share
from growsearch.tasks.images.augmentation import cropped, mirrored, rotated
from growsearch.tasks.images.spec import DataSpec
from growsearch.trial.errors import InputError


class Split(ABC):
    """Images and their `labels`, int64 [n]. Batches are made on the device of the labels."""

    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    @abstractmethod
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""

    @abstractmethod
    def __getitem__(self, index: Tensor) -> "Split":
        """The images at `index`, int64."""

    @abstractmethod
    def to(self, device: torch.device) -> "Split":
        """The split with its labels, and so its batches, on `device`."""

    @abstractmethod
    def padded(self, size: int) -> "Split":
        """Each image centred on black, `size` by `size` pixels.

        Raises InputError if the images are larger, or are cropped from pictures.
        """

    @property
    @abstractmethod
    def digest(self) -> str:
        """A hash of images and labels; the same on every host."""

    @abstractmethod
    def batches(self, batch_size: int) -> "Iterator[Images]":
        """All images in their order, in batches: [n, channels, height, width], as they are kept."""

    @abstractmethod
    def augmented_batches(
        self, batch_size: int, spec: DataSpec, draw: torch.Generator, share: Share = ALL
    ) -> "Iterator[Images]":
        """All images in a random order, augmented as `spec` says; random numbers are from `draw`.

        `share=(i, n)` yields every n-th image of each batch, from the i-th. Pixels keep their
        scale; rotation makes them float32.
        """


class Pixels(Split):
    """Images of one size. A whole batch is augmented at once, on the device of the labels."""

    @property
    @abstractmethod
    def home(self) -> torch.device:
        """The device that keeps the images."""

    @abstractmethod
    def at(self, index: Tensor) -> "Images":
        """The images at `index`, which is on `home`, copied to the device of the labels."""

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


class Parts(NamedTuple):
    """The images of a data set, divided."""

    train: Split
    val: Split
    test: Split
    spec: DataSpec


@dataclass(frozen=True)
class Images(Pixels):
    """Images, uint8 or float32 [n, channels, height, width], and labels, int64 [n]."""

    images: Tensor
    labels: Tensor

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles as arrays, which Ray shares read-only between the processes of a node."""
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
                f"image_size={size} is less than the images' {height}x{width} pixels, but "
                "image_size only pads; leave it out or choose a larger one"
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
    """A hash of labels and of images, of `shape` in all, which come in parts."""
    parts = iter(images)
    first = next(parts, torch.empty(0, dtype=torch.uint8))
    digest = hashlib.sha256(f"{shape} {first.dtype}".encode())
    for part in chain([first], parts, [labels]):
        digest.update(part.cpu().contiguous().numpy().data)
    return digest.hexdigest()


def read_only(array: np.ndarray) -> Tensor:
    """A tensor that shares the memory of a read-only array, and must not be written."""
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # torch warns of that
        return torch.from_numpy(array)


def _of_arrays(images: np.ndarray, labels: np.ndarray) -> Images:
    return Images(read_only(images), read_only(labels))
