"""ImageNet, or any pictures in its layout, which has a folder for each class."""

import os
from itertools import chain
from pathlib import Path

import torch

from growsearch.tasks.images.decoded import is_decoded, read_decoded
from growsearch.tasks.images.encoded import ImageFiles
from growsearch.tasks.images.folders import given_folder
from growsearch.tasks.images.streamed import Pictures
from growsearch.trial.errors import InputError

SUFFIXES = (".jpeg", ".jpg", ".png")
FILES = "*.JPEG, *.jpg or *.png"
LAYOUT = f"train/<class>/ and val/<class>/, and {FILES} in each"


def read_imagenet(data_dir: str | None) -> tuple[Pictures, Pictures]:
    """The pictures of `train` and `val`. ImageNet's `test` has no labels and is not used.

    Raises InputError if a folder or its pictures are missing. Pictures are not opened.
    """
    if data_dir is None:
        raise InputError(f"imagenet has no download; give as data_dir a folder with {LAYOUT}")
    folder = given_folder(data_dir, LAYOUT)
    return read_decoded(folder) if is_decoded(folder) else read_files(folder)


def read_files(folder: Path) -> tuple[ImageFiles, ImageFiles]:
    """The picture files of `train` and `val`. Raises InputError if a folder or they are missing.

    A class's label is the index of its folder among the sorted names. Suffixes may be in upper or
    lower case. Hidden files and folders are ignored.
    """
    train, val = folder / "train", folder / "val"
    for part in (train, val):
        if not part.is_dir():
            raise InputError(f"{part} is missing; give as data_dir a folder with {LAYOUT}")
    classes = class_folders(train)
    if len(classes) < 2:
        raise InputError(
            f"{train} must have a folder for each of at least 2 classes, but has {len(classes)}; "
            f"give as data_dir a folder with {LAYOUT}"
        )
    for name in sorted(set(classes) ^ set(class_folders(val))):
        there, missing = (train, val) if name in classes else (val, train)
        raise InputError(
            f"{missing / name} is missing, but {there / name} is there; give train and val a "
            "folder for each class"
        )
    return _files(train, classes), _files(val, classes)


def class_folders(part: Path) -> list[str]:
    """The sorted names of the folders in `part`; hidden ones are left out."""
    with os.scandir(part) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))


def _files(part: Path, classes: list[str]) -> ImageFiles:
    paths = [_pictures(part / name) for name in classes]
    counts = torch.tensor([len(some) for some in paths])
    return ImageFiles(list(chain(*paths)), torch.arange(len(classes)).repeat_interleave(counts))


def picture_files(folder: Path) -> list[str]:
    """The sorted paths of the pictures in `folder`; hidden ones are left out."""
    return [
        f"{folder}/{name}"
        for name in sorted(os.listdir(folder))
        if name.lower().endswith(SUFFIXES) and not name.startswith(".")
    ]


def _pictures(folder: Path) -> list[str]:
    paths = picture_files(folder)
    if not paths:
        raise InputError(
            f"{folder} has no {FILES}; put the images of the class there, or remove its folder "
            "from train and val"
        )
    return paths
