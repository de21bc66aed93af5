"""A folder of decoded pictures, which `growsearch decode` writes.

For each of the parts `train` and `val` it has two files:

    <part>.pixels    uint8, the pictures one after the other, each [height, width, 3]
    <part>.npz       format, a number; sizes, int32 [n, 2], the height and width of each picture;
                     labels, int64 [n]; classes, their names; sha256 of the pixels

The shorter side of each picture is 256 pixels.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from growsearch.machine.bounds import check_archive
from growsearch.tasks.images.streamed import Pictures
from growsearch.trial.errors import InputError, one_line

if TYPE_CHECKING:
    from PIL.Image import Image

FORMAT = 1
PARTS = ("train", "val")
PIXELS, INDEX = SUFFIXES = ".pixels", ".npz"
_AGAIN = "run growsearch decode again"


@dataclass(frozen=True)
class PixelFile:
    """A .pixels file. It is pickled as its path; each process that reads it maps it into memory."""

    path: str
    size: int
    sha256: str

    def __reduce__(self) -> tuple[Any, ...]:
        return PixelFile, (self.path, self.size, self.sha256)

    @cached_property
    def pixels(self) -> np.ndarray:
        """uint8 [size]. Raises InputError if the file has another size or cannot be mapped."""
        try:
            pixels = np.memmap(self.path, np.uint8, mode="r")
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path} cannot be read ({one_line(error)}); {_AGAIN}") from error
        if len(pixels) != self.size:
            raise InputError(
                f"{self.path} has {len(pixels):,} bytes, but its index has {self.size:,}; {_AGAIN}"
            )
        return pixels

    def open(self, place: np.ndarray) -> "Image":
        """The RGB picture at `place`, int64 [3]: its first byte, height and width."""
        from PIL import Image

        start, height, width = place.tolist()
        pixels = self.pixels[start : start + height * width * 3]
        return Image.fromarray(pixels.reshape(height, width, 3))


@dataclass(frozen=True)
class DecodedImages(Pictures):
    """Pictures in a .pixels file.

    `index`, int64 [n, 3], has the first byte, height and width of each; `labels` are int64 [n].
    """

    file: PixelFile
    index: Tensor
    labels: Tensor

    @property
    def places(self) -> np.ndarray:
        return self.index.numpy()

    @property
    def opener(self) -> "Callable[[np.ndarray], Image]":
        return self.file.open

    def __getitem__(self, index: Tensor) -> "DecodedImages":
        return DecodedImages(self.file, self.index[index], self.labels[index])

    def to(self, device: torch.device) -> "DecodedImages":
        return DecodedImages(self.file, self.index, self.labels.to(device))

    @cached_property
    def digest(self) -> str:
        """A hash of index, labels and the pixels' hash, which was computed by their writer."""
        digest = hashlib.sha256(self.file.sha256.encode())
        for tensor in (self.index, self.labels):
            digest.update(tensor.cpu().numpy().tobytes())
        return digest.hexdigest()


def is_decoded(folder: Path) -> bool:
    """Whether `folder` has any file of decoded pictures."""
    return any((folder / f"{part}{suffix}").exists() for part in PARTS for suffix in SUFFIXES)


def read_decoded(folder: Path) -> tuple[DecodedImages, DecodedImages]:
    """The pictures of `train` and `val`. Raises InputError if a file is missing or damaged."""
    (train, classes), (val, others) = (_read(folder, part) for part in PARTS)
    if classes != others:
        raise InputError(f"{folder} has different classes in train and val; {_AGAIN}")
    return train, val


def _read(folder: Path, part: str) -> tuple[DecodedImages, list[str]]:
    pixels, path = (folder / f"{part}{suffix}" for suffix in SUFFIXES)
    try:
        with path.open("rb") as file:
            check_archive(file)
            with np.load(file) as arrays:
                index = dict(arrays)
    except Exception as error:  # numpy and zipfile raise many types
        raise InputError(f"{path} cannot be read ({one_line(error)}); {_AGAIN}") from error
    if index.get("format") != FORMAT:
        raise InputError(
            f"{path} has format {index.get('format')}, but only {FORMAT} can be read; {_AGAIN}"
        )
    sizes = index["sizes"].astype(np.int64)
    lengths = sizes.prod(axis=1) * 3
    ends = lengths.cumsum()
    pixel_file = PixelFile(str(pixels), int(ends[-1]), str(index["sha256"]))
    _ = pixel_file.pixels  # raises now if the file is missing or cut short
    places = torch.from_numpy(np.column_stack([ends - lengths, sizes]))
    images = DecodedImages(pixel_file, places, torch.from_numpy(index["labels"]))
    return images, index["classes"].tolist()


def write_index(
    folder: Path, part: str, sizes: np.ndarray, labels: Tensor, classes: list[str], sha256: str
) -> None:
    """Writes the .npz file of `part`; `sizes`, [n, 2], are heights and widths, `labels` [n]."""
    np.savez_compressed(
        folder / f"{part}{INDEX}",
        format=np.array(FORMAT),
        sizes=sizes.astype(np.int32),
        labels=labels.numpy(),
        classes=np.array(classes),
        sha256=np.array(sha256),
    )
