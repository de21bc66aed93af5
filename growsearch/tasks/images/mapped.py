"""Images that stay in the host's memory or in a mapped file."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from growsearch.tasks.images.images import Images, Pixels, Split, digest_of, read_only
from growsearch.trial.errors import one_line

MEMORY_SHARE = 0.5
"""The part of a GPU's free memory that the images of one split may fill."""
_HASHED_AT_ONCE = 10_000
_LOG = logging.getLogger("growsearch")


@dataclass(frozen=True)
class HostImages(Pixels):
    """The images of `pixels`, uint8 or float32 [N, channels, height, width], at `index`, int64 [n].

    `labels` are int64 [n]. Only labels are on the device: each batch is sent there when it is made.
    Batches are the same as those of Images. A mapped file takes no memory of the process, only
    page cache.
    """

    pixels: Tensor
    index: Tensor
    labels: Tensor

    @property
    def home(self) -> torch.device:
        return self.index.device

    @property
    def images(self) -> Tensor:
        """[n, channels, height, width], copied into memory."""
        return self.pixels[self.index]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        channels, height, width = self.pixels.shape[1:]
        return channels, height, width

    def __getitem__(self, index: Tensor) -> "HostImages":
        return HostImages(self.pixels, self.index[index], self.labels[index])

    def at(self, index: Tensor) -> Images:
        device, chosen = self.labels.device, self.index[index]
        if device.type != "cuda":
            return Images(self.pixels[chosen], self.labels[index])
        pixels = torch.empty(
            (len(chosen), *self.image_shape), dtype=self.pixels.dtype, pin_memory=True
        )
        torch.index_select(self.pixels, 0, chosen, out=pixels)
        return Images(_sent(pixels, device), self.labels[_sent(index.pin_memory(), device)])

    def to(self, device: torch.device) -> "HostImages":
        return HostImages(self.pixels, self.index, self.labels.to(device))

    def padded(self, size: int) -> Images:
        return Images(self.images, self.labels).padded(size)

    @cached_property
    def digest(self) -> str:
        parts = (self.pixels[index] for index in self.index.split(_HASHED_AT_ONCE))
        return digest_of((len(self), *self.image_shape), parts, self.labels)

    def batches(self, batch_size: int) -> Iterator[Images]:
        return map(self.at, torch.arange(len(self)).split(batch_size))


def _sent(pinned: Tensor, device: torch.device) -> Tensor:
    """A copy on `device`; returns before the copy is complete."""
    return pinned.to(device, non_blocking=True)


def _allowed(device: torch.device) -> int:
    """Bytes of the GPU's memory that this process may still take; Ray's trials set their share."""
    free, total = torch.cuda.mem_get_info(device)
    share = torch.cuda.get_per_process_memory_fraction()  # takes no device without a number
    return min(free, int(share * total))


def placed(split: Split, device: torch.device) -> Split:
    """The split for training on `device`.

    Images are kept on a GPU if they fit into MEMORY_SHARE of its free memory, or else on the host.
    Pictures stay in their files.
    """
    if device.type == "cuda" and isinstance(split, Images | HostImages):
        channels, height, width = split.image_shape
        stored = split.images if isinstance(split, Images) else split.pixels
        size = len(split) * channels * height * width * stored.element_size()
        fits = size <= MEMORY_SHARE * _allowed(device)
        if fits and isinstance(split, HostImages):
            split = Images(split.images, split.labels)
        elif not fits and isinstance(split, Images):
            split = HostImages(split.images, torch.arange(len(split)), split.labels)
    return split.to(device)


def mapped(path: Path, shape: tuple[int, ...], parts: Callable[[], Iterator[np.ndarray]]) -> Tensor:
    """The array in the file at `path`, uint8 of `shape`, mapped into memory.

    A missing file is first written from `parts`, which make up the array in C order. If it cannot
    be written, a warning is logged and the array is kept in memory.
    """
    if not path.exists():
        unfinished = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as file:
                header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
                for part in parts():
                    file.write(part.tobytes())
            unfinished.replace(path)
        except OSError as error:
            _LOG.warning("%s cannot be written (%s); images stay in memory", path, one_line(error))
            return torch.from_numpy(np.stack(list(parts())).reshape(shape))
        finally:
            with suppress(OSError):
                unfinished.unlink()
    return read_only(np.load(path, mmap_mode="r"))
