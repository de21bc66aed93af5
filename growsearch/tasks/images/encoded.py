"""A split of picture files, which every pass over them decodes again."""

import hashlib
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from growsearch.machine.bounds import LITTLE, most_bytes
from growsearch.tasks.images.streamed import Pictures
from growsearch.trial.errors import InputError, one_line

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "PPM")
"""Pillow's formats of pictures that are read. Others may start programs, as EPS does."""


@dataclass(frozen=True)
class ImageFiles(Pictures):
    """Pictures in one file each; `labels` are int64 [n]."""

    paths: list[str]
    labels: Tensor

    @property
    def places(self) -> list[str]:
        return self.paths

    @property
    def opener(self) -> "Callable[[str], Image]":
        return open_file

    def __getitem__(self, index: Tensor) -> "ImageFiles":
        return ImageFiles([self.paths[i] for i in index.tolist()], self.labels[index])

    def to(self, device: torch.device) -> "ImageFiles":
        return ImageFiles(self.paths, self.labels.to(device))

    @cached_property
    def digest(self) -> str:
        """A hash of names and sizes, because reading all files would take too long."""
        digest = hashlib.sha256(self.labels.cpu().numpy().tobytes())
        for path in self.paths:
            digest.update(f"{Path(path).name} {os.stat(path).st_size}\n".encode())
        return digest.hexdigest()


def open_file(path: str) -> "Image":
    """The RGB picture in the file at `path`. Raises InputError if it cannot be read."""
    return read_picture(path, "get the file again or remove it")


def read_picture(
    path: str | Path, remedy: str, mode: str = "RGB", turned: bool = False
) -> "Image":  # fmt: skip
    """The picture in a file, in Pillow's `mode`; with `turned` as a camera held it, see `upright`.

    Raises InputError, ending in `remedy`, if it cannot be read.
    """
    try:
        # Pillow warns of damaged EXIF data, which some of ImageNet's pictures have
        with warnings.catch_warnings(action="ignore"), opened_picture(path) as file:
            return (upright(file) if turned else file).convert(mode)
    except Exception as error:  # Pillow raises many types for damaged files
        raise InputError(f"{path} cannot be read ({one_line(error)}); {remedy}") from error


def opened_picture(path: str | Path) -> "Image":
    """The picture in a file, not decoded yet.

    Raises an error of many types if it is none of FORMATS, which need no other program, or if its
    pixels would take far more than its file.
    """
    from PIL import Image

    picture = Image.open(path, formats=FORMATS)
    size = picture.width * picture.height * 4
    if size > LITTLE:  # others may be read, whatever their file is
        with Path(path).open("rb") as file:
            most = most_bytes(file)
        if size > most:
            picture.close()
            raise ValueError(
                f"its {picture.width} x {picture.height} pixels are too many for its file"
            )
    return picture


def upright(picture: "Image") -> "Image":
    """The picture turned and mirrored as its EXIF data say; as it is if they are damaged."""
    from PIL import ImageOps

    try:
        with warnings.catch_warnings(action="ignore"):
            return ImageOps.exif_transpose(picture)
    except Exception:  # Pillow raises many types for damaged EXIF data
        return picture


def picture_mode(path: str | Path) -> str | None:
    """Pillow's mode of the picture in a file, like "L" for grey; None if it cannot be opened."""
    try:
        with warnings.catch_warnings(action="ignore"), opened_picture(path) as file:
            return file.mode
    except Exception:  # Pillow raises many types for damaged files
        return None
