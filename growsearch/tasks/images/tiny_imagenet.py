"""Tiny-ImageNet, colour images of 64x64 pixels, from the JPEG files that are distributed."""

import hashlib
from pathlib import Path

import numpy as np
import torch

from growsearch.machine.cache import cache_folder
from growsearch.tasks.images.encoded import read_picture
from growsearch.tasks.images.folders import given_folder
from growsearch.tasks.images.mapped import HostImages, mapped
from growsearch.trial.errors import InputError

FOLDER = "tiny-imagenet-200"
CLASSES, TRAIN_PER_CLASS, VAL_PER_CLASS = 200, 500, 50
SIDE = 64
_AGAIN = f"unpack {FOLDER}.zip again"


def read_tiny_imagenet(data_dir: str | None) -> tuple[HostImages, HostImages]:
    """The 100,000 images of `train` and 10,000 of `val`; `test` has no labels and is not used.

    `data_dir` is the folder tiny-imagenet-200 or the one above; the default is the cache folder.
    A class's label is its index among the sorted names. Images are decoded once, into files of
    1.4 GB in the cache folder, which are mapped. Raises InputError if files are missing or damaged.
    """
    folder = _folder(data_dir)
    labels = {wnid: label for label, wnid in enumerate(_classes(folder))}
    train = []
    for wnid in labels:
        paths = sorted((folder / "train" / wnid / "images").glob("*.JPEG"))
        _check_count(folder / "train" / wnid / "images", len(paths), TRAIN_PER_CLASS, "*.JPEG")
        train += [(path, labels[wnid]) for path in paths]
    val = _annotated(folder / "val", labels)
    return _read(train), _read(val)


def _folder(data_dir: str | None) -> Path:
    """The folder with `train` and `val`."""
    if data_dir is None:
        folder = cache_folder() / FOLDER
        if not folder.is_dir():
            raise InputError(
                f"tiny-imagenet is not in {folder} and has no download; unpack {FOLDER}.zip there, "
                "or give its folder as data_dir"
            )
        return folder
    given = given_folder(data_dir, f"{FOLDER}, unpacked from {FOLDER}.zip (it has no download)")
    below = given / FOLDER
    return below if below.is_dir() else given


def _classes(folder: Path) -> list[str]:
    """The sorted class names, from wnids.txt, or from the folders if it is missing."""
    listed, train = folder / "wnids.txt", folder / "train"
    if not train.is_dir():
        raise InputError(f"{train} is missing, so {folder} is not Tiny-ImageNet; {_AGAIN}")
    if listed.is_file():
        names = set(listed.read_text().split())
    else:
        names = {path.name for path in train.iterdir() if path.is_dir()}
    _check_count(listed if listed.is_file() else train, len(names), CLASSES, "classes")
    for name in sorted(names):
        if not (train / name).is_dir():
            raise InputError(f"{train / name} is missing, the folder of a class; {_AGAIN}")
    return sorted(names)


def _check_count(place: Path, n: int, expected: int, what: str) -> None:
    if n != expected:
        raise InputError(f"{place} has {n} {what}, but Tiny-ImageNet has {expected}; {_AGAIN}")


def _annotated(folder: Path, labels: dict[str, int]) -> list[tuple[Path, int]]:
    """Sorted files with labels from val_annotations.txt, whose lines have file, class and box."""
    annotations = folder / "val_annotations.txt"
    if not annotations.is_file():
        raise InputError(f"{annotations} is missing, the labels of Tiny-ImageNet's val; {_AGAIN}")
    found = {}
    for line in annotations.read_text().splitlines():
        file, wnid, *_ = [*line.split("\t"), "", ""]
        path = folder / "images" / file
        if wnid not in labels:
            raise InputError(f"{annotations} gives {file!r} the unknown class {wnid!r}; {_AGAIN}")
        if not path.is_file():
            raise InputError(f"{annotations} names {file!r}, but {path} is missing; {_AGAIN}")
        found[path] = labels[wnid]
    _check_count(annotations, len(found), CLASSES * VAL_PER_CLASS, "labelled images")
    return sorted(found.items())


def _read(files: list[tuple[Path, int]]) -> HostImages:
    """The images of the files, in an array that the cache folder keeps while they are unchanged."""
    known = hashlib.sha256()
    for path, _ in files:
        status = path.stat()
        known.update(f"{path.resolve()} {status.st_size} {status.st_mtime_ns}\n".encode())
    decoded = cache_folder() / "decoded" / f"tiny-imagenet-{known.hexdigest()[:16]}.npy"
    shape = (len(files), 3, SIDE, SIDE)
    pixels = mapped(decoded, shape, lambda: (_pixels(path) for path, _ in files))
    labels = torch.tensor([label for _, label in files])
    return HostImages(pixels, torch.arange(len(files)), labels)


def _pixels(path: Path) -> np.ndarray:
    """The image in a file, uint8 [3, 64, 64]; a grey file gives three equal channels."""
    pixels = np.array(read_picture(path, _AGAIN))
    if pixels.shape != (SIDE, SIDE, 3):
        height, width, _ = pixels.shape
        raise InputError(f"{path} has {height}x{width} pixels, not {SIDE}x{SIDE}; {_AGAIN}")
    return pixels.transpose(2, 0, 1)
