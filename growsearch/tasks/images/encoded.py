"""A split of pictures in files, decoded anew in each pass over them."""

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

from growsearch.tasks.images.streamed import Pictures
from growsearch.trial.errors import InputError, one_line

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class ImageFiles(Pictures):
    """Pictures by the paths of their files, and labels, int64 [n]."""

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
        """By the files' names and sizes: reading all of them would take too long."""
        digest = hashlib.sha256(self.labels.cpu().numpy().tobytes())
        for path in self.paths:
            digest.update(f"{Path(path).name} {os.stat(path).st_size}\n".encode())
        return digest.hexdigest()


def open_file(path: str) -> "Image":
    return read_picture(path, "get the file again or remove it")


def read_picture(path: str | Path, remedy: str) -> "Image":
    """In RGB; InputError with the remedy if the file cannot be read."""
    from PIL import Image

    try:
        # some of ImageNet's pictures have damaged EXIF data, of which Pillow warns
        with warnings.catch_warnings(action="ignore"), Image.open(path) as file:
            return file.convert("RGB")
    except Exception as error:  # whatever Pillow makes of a damaged file
        raise InputError(f"{path} cannot be read ({one_line(error)}); {remedy}") from error
