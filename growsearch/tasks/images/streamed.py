"""A split of pictures of any size that do not fit in memory: every pass reads them again."""

import math
import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from growsearch.machine.batches import ALL, Share
from growsearch.tasks.images.augmentation import mirrored
from growsearch.tasks.images.images import Images, Split
from growsearch.tasks.images.spec import DataSpec
from growsearch.tasks.images.workers import in_workers
from growsearch.trial.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 224
"""Height and width of the crops, in pixels."""
SHORTER = 256
"""Length of the shorter side, in pixels, before the centre is cropped for evaluation."""
AREA, ASPECT = 0.08, 4 / 3
"""The least part of a picture's area that a random crop has, and the largest ratio of its sides."""
ATTEMPTS = 10
"""Random crops that are tried; if none fits into the picture, its largest central one is taken."""
CHUNK = 32
"""Pictures that a worker reads at a time. It is small, so that all workers share a batch."""

_Cut = tuple[Any, np.ndarray | None]
"""A picture's place, and the numbers for `random_box`, or None to crop the centre."""


class Pictures(Split):
    """Pictures of any size; `labels` are int64 [n].

    For training, random parts are resized to 224x224 pixels, and half of them mirrored. For
    evaluation, the shorter side is resized to 256 pixels and the centre is cropped. Worker
    processes read them, one less than the trial's threads. Workers draw no random numbers, so
    batches do not depend on their number. Batches raise InputError if a picture cannot be read.
    """

    @property
    @abstractmethod
    def places(self) -> Iterable[Any]:
        """The place of each picture, which `opener` takes."""

    @property
    @abstractmethod
    def opener(self) -> "Callable[[Any], Image]":
        """The function that returns the RGB picture at a place. Workers call it.

        It raises InputError if the picture cannot be read.
        """

    @abstractmethod
    def __getitem__(self, index: Tensor) -> "Pictures": ...

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return 3, SIDE, SIDE

    def padded(self, size: int) -> Split:
        raise InputError(
            f"image_size={size} pads small images, but these are cropped from pictures to "
            f"{SIDE}x{SIDE} pixels; leave it out"
        )

    def batches(self, batch_size: int) -> Iterator[Images]:
        return self._read(repeat(None), batch_size)

    def augmented_batches(
        self, batch_size: int, spec: DataSpec, draw: torch.Generator, share: Share = ALL
    ) -> Iterator[Images]:
        n = len(self)
        order = torch.randperm(n, generator=draw)
        flips = torch.rand(n, generator=draw) < 0.5
        crops = torch.rand(n, 2 * ATTEMPTS + 2, generator=draw)
        chosen = [batch[share[0] :: share[1]] for batch in torch.arange(n).split(batch_size)]
        every, sizes = torch.cat(chosen), [len(batch) for batch in chosen]
        batches = self[order[every]]._read(crops[every].numpy(), sizes)
        flips = flips[every].to(self.labels.device)
        for batch, which in zip(batches, flips.split(sizes), strict=True):
            images = mirrored(batch.images, which) if spec.flip else batch.images
            yield Images(images, batch.labels)

    def _read(self, crops: Iterable[np.ndarray | None], sizes: int | list[int]) -> Iterator[Images]:
        """All images in order, in batches of these sizes, on the device of the labels."""
        batches, device = self.labels.split(sizes), self.labels.device
        jobs = zip(self.places, crops, strict=False)  # crops may be endless
        chunk_sizes = (len(chunk) for labels in batches for chunk in labels.split(CHUNK))
        read = in_workers(
            partial(_cuts, self.opener),
            (list(islice(jobs, size)) for size in chunk_sizes),
            workers=_workers(len(self)),
            pinned=device.type == "cuda",
        )
        with closing(read) as chunks:
            for labels in batches:
                parts = [next(chunks) for _ in labels.split(CHUNK)]
                images = torch.cat([part.to(device, non_blocking=True) for part in parts])
                yield Images(images.permute(0, 3, 1, 2), labels)


def _workers(images: int) -> int:
    """The number of workers: one core is left for the main process, and few images need none."""
    cores = min(len(os.sched_getaffinity(0)), torch.get_num_threads())
    return min(max(cores - 1, 1), images // CHUNK)


def _cuts(opener: "Callable[[Any], Image]", jobs: list[_Cut]) -> Tensor:
    """uint8 [n, 224, 224, 3]: Pillow's layout, which channels-last convolutions use too."""
    return torch.from_numpy(np.stack([np.asarray(_cut(opener(p), crop)) for p, crop in jobs]))


def _cut(picture: "Image", crop: np.ndarray | None) -> "Image":
    from PIL import Image

    if crop is None:
        return centre(resized(picture))
    picture = picture.crop(random_box(*picture.size, crop))
    return picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR)


def resized(picture: "Image", shorter: int = SHORTER) -> "Image":
    """The picture with a shorter side of `shorter` pixels, like torchvision's Resize(shorter)."""
    from PIL import Image

    width, height = (shorter * side // min(picture.size) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BILINEAR)


def centre(picture: "Image", side: int = SIDE) -> "Image":
    """The centre of the picture, like torchvision's CenterCrop(side)."""
    left, top = (round((length - side) / 2) for length in picture.size)
    return picture.crop((left, top, left + side, top + side))


def random_box(width: int, height: int, random: np.ndarray) -> tuple[int, int, int, int]:
    """A random crop, like torchvision's RandomResizedCrop: (left, top, right, bottom) in pixels.

    `random` has 22 numbers from 0 to 1: area and ratio of sides for each of 10 attempts, then x
    and y of the crop. The area is uniform from 0.08 to 1 of the picture's, the ratio log-uniform
    from 3/4 to 4/3.
    """
    *sizes, x, y = random.tolist()
    for u, v in zip(sizes[::2], sizes[1::2], strict=True):
        area, aspect = width * height * (AREA + (1 - AREA) * u), ASPECT ** (2 * v - 1)
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(x * (width - w + 1)), int(y * (height - h + 1))
            break
    else:
        w, h = min(width, round(height * ASPECT)), min(height, round(width * ASPECT))
        left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h
