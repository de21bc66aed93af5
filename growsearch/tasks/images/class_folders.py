"""A folder of class folders of pictures, resized to one small size when they are read."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from growsearch.machine.cache import cache_folder
from growsearch.tasks.images.encoded import picture_mode, read_picture
from growsearch.tasks.images.folders import given_folder
from growsearch.tasks.images.imagenet import FILES, class_folders, picture_files
from growsearch.tasks.images.images import Images, Parts, Split
from growsearch.tasks.images.mapped import HostImages, mapped
from growsearch.tasks.images.own_parts import own_parts
from growsearch.tasks.images.streamed import centre, resized
from growsearch.tasks.images.workers import in_workers
from growsearch.trial.errors import InputError

if TYPE_CHECKING:
    from growsearch.tasks.images.own import OwnImages

LAYOUT = f"a folder of {FILES} for each class, or train/, val/ and perhaps test/ with such folders"
PARTS = ("train", "val", "test")
MAPPED_FROM = 5000
"""Number of pictures from which on they are decoded once, into a file of the cache folder that is
mapped. Fewer are decoded when they are read."""
NAMED = 10
"""How many unreadable files are named."""
CHUNK = 64
_GREY = ("1", "L", "LA")
_DEEP = ("I", "F")
"""First letters of Pillow's modes of more than 8 bits, which it would cut off."""


class Listing(NamedTuple):
    """The picture files below a folder, sorted by part, class and name."""

    classes: tuple[str, ...]
    parts: tuple[str, ...]
    """train, val and perhaps test, if there are folders of these names; else "" alone."""
    paths: list[str]
    labels: Tensor
    """int64, a label for each path."""
    part: Tensor
    """int64, the index in `parts` for each path."""

    @property
    def state(self) -> str:
        """A hash of names, sizes and times of change."""
        known = hashlib.sha256()
        for path in self.paths:
            status = os.stat(path)
            known.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
        return known.hexdigest()


def listed(data_dir: str | None) -> Listing:
    """The picture files below `data_dir`. Hidden files and folders are ignored.

    Raises InputError if the folder is not laid out like LAYOUT, has one class only, or a class of
    `val` or `test` that `train` lacks, or if a class folder has no picture.
    """
    if data_dir is None:
        raise InputError(f"folder has no download; give as data_dir a folder with {LAYOUT}")
    folder = given_folder(data_dir, LAYOUT).resolve()
    parts = _parts(folder)
    classes = class_folders(folder / parts[0])
    if len(classes) < 2:
        there = f"only {classes[0]!r}" if classes else "none"
        raise InputError(
            f"{folder / parts[0]} must have a folder for each of at least 2 classes, but has "
            f"{there}; give as data_dir a folder with {LAYOUT}"
        )
    found: list[tuple[str, int, int]] = []
    for number, part in enumerate(parts):
        for name in class_folders(folder / part):
            if name not in classes:
                raise InputError(
                    f"{folder / part / name} is a class that {folder / parts[0]} lacks; rename or "
                    "remove it, or add the class there"
                )
            paths = picture_files(folder / part / name)
            if not paths:
                raise InputError(
                    f"{folder / part / name} has no {FILES}; put the pictures of the class there, "
                    "or remove the folder"
                )
            label = classes.index(name)
            found += [(path, label, number) for path in paths]
    labels, numbers = (torch.tensor([file[k] for file in found]) for k in (1, 2))
    return Listing(tuple(classes), parts, [path for path, *_ in found], labels, numbers)


def _parts(folder: Path) -> tuple[str, ...]:
    """The folders with class folders: [""] is the folder itself.

    A class may be called like a part: its folder has no folders.
    """
    there = [name for name in PARTS if (folder / name).is_dir()]
    with_classes = [name for name in there if class_folders(folder / name)]
    if not with_classes:
        return ("",)
    for name in ("train", "val", *there):
        if name not in with_classes:
            lacks = "has no class folders" if name in there else "is missing"
            raise InputError(
                f"{folder / with_classes[0]} has class folders, but {folder / name} {lacks}; give "
                f"as data_dir a folder with {LAYOUT}"
            )
    return tuple(there)


def read_class_folders(source: "OwnImages", data_dir: str | None, size: int) -> Parts:
    """The pictures below `data_dir`, `size` pixels wide and high, divided.

    Raises InputError like `listed` and `own_parts`, and if files cannot be read, which it names.
    """
    files = listed(data_dir)
    pixels = _pixels(files, size)

    def part(number: int) -> Split:
        index = (files.part == number).nonzero().flatten()
        if len(files.paths) >= MAPPED_FROM:
            return HostImages(pixels, index, files.labels[index])
        return Images(pixels[index], files.labels[index])

    train, *others = (part(number) for number in range(len(files.parts)))
    val, test = (*others, None, None)[:2]
    return own_parts(source, files.classes, train, val, test)


def _pixels(files: Listing, size: int) -> Tensor:
    """All pictures, uint8 [n, channels, size, size]."""
    if len(files.paths) < MAPPED_FROM:
        pictures = _decoded(files.paths, size, _channels(files.paths))
        return torch.from_numpy(np.stack(list(pictures)))
    stem = cache_folder() / "decoded" / f"folder-{files.state[:16]}-{size}-upright"
    cached = {channels: stem.with_name(f"{stem.name}-{channels}.npy") for channels in (1, 3)}
    made = [channels for channels, path in cached.items() if path.exists()]
    channels = made[0] if made else _channels(files.paths)
    shape = (len(files.paths), channels, size, size)
    return mapped(cached[channels], shape, lambda: _decoded(files.paths, size, channels))


def _channels(paths: list[str]) -> int:
    """1 if all pictures are grey, else 3."""
    return 1 if all(picture_mode(path) in (*_GREY, None) for path in paths) else 3


def _decoded(paths: list[str], size: int, channels: int) -> Iterator[np.ndarray]:
    """The pictures, uint8 [channels, size, size] each."""
    jobs = [(paths[i : i + CHUNK], size, channels) for i in range(0, len(paths), CHUNK)]
    workers = min(len(os.sched_getaffinity(0)), len(jobs) // 4)
    problems: list[str] = []
    for pictures, failed in in_workers(_chunk, jobs, workers):
        problems += failed
        yield from pictures.numpy()
    if problems:
        more = len(problems) - NAMED
        raise InputError(
            f"{len(problems)} of {len(paths)} pictures cannot be read: "
            f"{', '.join(problems[:NAMED])}{f' and {more} more' if more > 0 else ''}; get the "
            "files again, save them with 8 bits a channel, or remove them"
        )


def _chunk(job: tuple[list[str], int, int]) -> tuple[Tensor, list[str]]:
    """The pictures of a chunk, and the files that cannot be read, with the reason of each."""
    paths, size, channels = job
    pictures, failed = torch.zeros(len(paths), channels, size, size, dtype=torch.uint8), []
    for picture, path in zip(pictures, paths, strict=True):
        if (picture_mode(path) or "").startswith(_DEEP):
            failed.append(f"{path} (more than 8 bits a channel)")
            continue
        try:
            read = read_picture(path, "get it again", "L" if channels == 1 else "RGB", turned=True)
        except InputError:
            failed.append(path)
            continue
        pixels = np.array(centre(resized(read, size), size))
        picture[:] = torch.from_numpy(pixels.reshape(size, size, channels)).permute(2, 0, 1)
    return pictures, failed
