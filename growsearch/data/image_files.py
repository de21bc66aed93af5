"""A split of pictures in files, too many for memory: read anew in each pass over them."""

import hashlib
import math
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.utils import data

from growsearch.data.augmentation import mirrored
from growsearch.data.images import ALL, Images, Share, Split
from growsearch.data.spec import DataSpec
from growsearch.errors import InputError, one_line

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 224
"""Height and width, in pixels, that pictures are cropped to."""
SHORTER = 256
"""What the shorter side is resized to before the centre is cut out for evaluation."""
AREA, ASPECT = 0.08, 4 / 3
"""A random crop's least share of the picture's area, and its largest ratio of sides."""
ATTEMPTS = 10
"""At a random crop that fits into the picture, before the largest one in the centre is taken."""
CHUNK = 32
"""Pictures that a worker reads at a time, so that all of them work on one batch."""

_Job = tuple[str, np.ndarray | None]
"""A picture's path, and the numbers of `random_box`; None to cut out the centre."""


@dataclass(frozen=True)
class ImageFiles(Split):
    """Pictures of any size, by the paths of their files, and labels, int64 [n].

    Training images are random parts resized to 224x224 pixels, half of them mirrored; for
    evaluation the shorter side is resized to 256 pixels and the centre cut out. They are read by
    worker processes, one for each of the trial's threads but one, which draw nothing: batches are
    the same whatever their number. Batches raise InputError for a file that cannot be read.
    """

    paths: list[str]
    labels: Tensor

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return 3, SIDE, SIDE

    def __getitem__(self, index: Tensor) -> "ImageFiles":
        return ImageFiles([self.paths[i] for i in index.tolist()], self.labels[index])

    def to(self, device: torch.device) -> "ImageFiles":
        return ImageFiles(self.paths, self.labels.to(device))

    def padded(self, size: int) -> "ImageFiles":
        raise InputError(
            f"image_size={size} pads small images, but these are cropped to {SIDE}x{SIDE} pixels "
            "out of larger ones; leave it out"
        )

    @cached_property
    def digest(self) -> str:
        """By the files' names and sizes: reading all of them would take too long."""
        digest = hashlib.sha256(self.labels.cpu().numpy().tobytes())
        for path in self.paths:
            digest.update(f"{Path(path).name} {os.stat(path).st_size}\n".encode())
        return digest.hexdigest()

    def batches(self, batch_size: int) -> Iterator[Images]:
        return self._read(((path, None) for path in self.paths), batch_size)

    def augmented_batches(
        self, batch_size: int, spec: DataSpec, draw: torch.Generator, share: Share = ALL
    ) -> Iterator[Images]:
        n = len(self)
        order = torch.randperm(n, generator=draw)
        flips = torch.rand(n, generator=draw) < 0.5
        crops = torch.rand(n, 2 * ATTEMPTS + 2, generator=draw)
        chosen = [batch[share[0] :: share[1]] for batch in torch.arange(n).split(batch_size)]
        every, sizes = torch.cat(chosen), [len(batch) for batch in chosen]
        shuffled = self[order[every]]
        jobs = zip(shuffled.paths, crops[every].numpy(), strict=True)
        batches = shuffled._read(jobs, sizes)
        flips = flips[every].to(self.labels.device)
        for batch, which in zip(batches, flips.split(sizes), strict=True):
            images = mirrored(batch.images, which) if spec.flip else batch.images
            yield Images(images, batch.labels)

    def _read(self, jobs: Iterator[_Job], sizes: int | list[int]) -> Iterator[Images]:
        """One job for each image, in order, in batches of these sizes. The images are made where
        the labels are.
        """
        batches, device = self.labels.split(sizes), self.labels.device
        chunk_sizes = (len(chunk) for labels in batches for chunk in labels.split(CHUNK))
        loader = data.DataLoader(
            _Pictures(),
            batch_size=None,
            sampler=(list(islice(jobs, size)) for size in chunk_sizes),
            num_workers=_workers(len(self)),
            pin_memory=device.type == "cuda",
            generator=torch.Generator(),  # the seeds that it draws for workers are not used
        )
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            chunks = iter(loader)  # Python 3.12 warns of forks beside threads
        try:
            for labels in batches:
                parts = [_checked(next(chunks)) for _ in labels.split(CHUNK)]
                images = torch.cat([part.to(device, non_blocking=True) for part in parts])
                yield Images(images.permute(0, 3, 1, 2), labels)
        finally:
            del chunks  # ends the workers, even while an error's traceback has this frame


def _workers(images: int) -> int:
    """A core of the trial's is left to the main process; few images are soon read without."""
    cores = min(len(os.sched_getaffinity(0)), torch.get_num_threads())
    return min(max(cores - 1, 1), images // CHUNK)


def _checked(read: Tensor | InputError) -> Tensor:
    if isinstance(read, InputError):
        raise read
    return read


class _Pictures(data.Dataset[Tensor | InputError]):
    """What a worker does. An error is handed over: raised, it would arrive with a traceback."""

    def __getitem__(self, jobs: list[_Job]) -> Tensor | InputError:
        """uint8 [n, 224, 224, 3], as Pillow has them and as channels-last convolutions do."""
        try:
            return torch.from_numpy(np.stack([_pixels(*job) for job in jobs]))
        except InputError as error:
            return error


def read_picture(path: str | Path, remedy: str) -> "Image":
    """In RGB; InputError with the remedy if the file cannot be read."""
    from PIL import Image

    try:
        # some of ImageNet's pictures have damaged EXIF data, of which Pillow warns
        with warnings.catch_warnings(action="ignore"), Image.open(path) as file:
            return file.convert("RGB")
    except Exception as error:  # whatever Pillow makes of a damaged file
        raise InputError(f"{path} cannot be read ({one_line(error)}); {remedy}") from error


def _pixels(path: str, crop: np.ndarray | None) -> np.ndarray:
    """uint8 [224, 224, 3]; InputError if the file cannot be read."""
    from PIL import Image

    picture = read_picture(path, "get the file again or remove it")
    if crop is None:
        return np.asarray(_centre(picture))
    picture = picture.crop(random_box(*picture.size, crop))
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def _centre(picture: "Image") -> "Image":
    """As torchvision's Resize(256) and CenterCrop(224)."""
    from PIL import Image

    shorter = min(picture.size)
    width, height = (SHORTER * side // shorter for side in picture.size)
    left, top = (round((side - SIDE) / 2) for side in (width, height))
    picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    return picture.crop((left, top, left + SIDE, top + SIDE))


def random_box(width: int, height: int, random: np.ndarray) -> tuple[int, int, int, int]:
    """A part of a picture, as torchvision's RandomResizedCrop cuts it: left, top, right, bottom.

    `random` are 22 numbers between 0 and 1: area and ratio of sides of each attempt, and the place.
    Areas are uniform between 0.08 and 1 of the picture's, ratios log-uniform between 3/4 and 4/3.
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
