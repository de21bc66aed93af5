"""MNIST and Fashion-MNIST: 70,000 grey images of 28x28 pixels in four IDX files."""

import math
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from growsearch.machine.bounds import unpacked_gzip, whole
from growsearch.machine.cache import cache_folder
from growsearch.tasks.images.folders import given_folder
from growsearch.tasks.images.images import Images
from growsearch.trial.errors import InputError, one_line

DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
_CLASSES = 10
_TORCHVISION = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}
_TITLES = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST"}
_NAMES = [
    f"{split}-{kind}" for split in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
]


def read_idx_set(name: str, data_dir: str | None) -> tuple[Images, Images]:
    """Training and test images of "mnist" or "fashion-mnist" in the folder `data_dir`.

    Without `data_dir` they come from Debian's folder, or else from the cache folder, where
    torchvision downloads them if they are missing. Raises InputError if files are missing or
    damaged, or cannot be downloaded.
    """
    folder = _folder(name, data_dir)
    return _read_images(folder, "train"), _read_images(folder, "t10k")


def has_idx_files(folder: Path) -> bool:
    """Whether `folder` has all four files, gzipped or not."""
    return all(_idx_path(folder, name) for name in _NAMES)


def _folder(name: str, data_dir: str | None) -> Path:
    below = Path(_TORCHVISION[name]) / "raw"
    if data_dir is not None:
        given = given_folder(data_dir, _idx_list())
        for folder in (given, given / below):
            if has_idx_files(folder):
                return folder
        raise InputError(f"data_dir {data_dir!r} lacks {_TITLES[name]}'s files: {_idx_list()}")
    debian = [DEBIAN_FASHION_MNIST] if name == "fashion-mnist" else []
    for folder in (*debian, cache_folder() / below):
        if has_idx_files(folder):
            return folder
    return _download(name, cache_folder()) / below


def _download(name: str, root: Path) -> Path:
    from torchvision import datasets

    try:
        getattr(datasets, _TORCHVISION[name])(str(root), download=True)
    except (OSError, RuntimeError) as error:
        debian = "on Debian, apt-get install dataset-fashion-mnist, or "
        raise InputError(
            f"{name} is not on this machine and its download failed ({one_line(error)}); "
            f"{debian if name == 'fashion-mnist' else ''}give its folder as data_dir"
        ) from error
    return root


def _idx_list() -> str:
    return ", ".join(f"{name}-ubyte[.gz]" for name in _NAMES)


def _idx_path(folder: Path, name: str) -> Path | None:
    candidates = (folder / f"{name}-ubyte{suffix}" for suffix in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)


def _read_images(folder: Path, split: str) -> Images:
    images_path = _idx_path(folder, f"{split}-images-idx3")
    labels_path = _idx_path(folder, f"{split}-labels-idx1")
    assert images_path and labels_path
    images = read_idx(images_path, dimensions=3)[:, None]
    labels = read_idx(labels_path, dimensions=1).long()
    if len(images) != len(labels) or not len(labels):
        raise InputError(
            f"{images_path} has {len(images)} images but {labels_path} has {len(labels)} labels; "
            "get both files again"
        )
    if int(labels.max()) >= _CLASSES:
        raise InputError(
            f"{labels_path} has label {int(labels.max())}, but there are {_CLASSES} classes; "
            "get the file again"
        )
    return Images(images, labels)


def read_idx(path: Path, dimensions: int) -> Tensor:
    """The uint8 array in an IDX file, gzipped or not.

    The format is a header (0, 0, 8 for uint8, the number of dimensions, then each size in four
    bytes, big-endian) and the values in C order. Raises InputError if the file is damaged or has
    another number of dimensions.
    """
    try:
        raw = unpacked_gzip(path) if path.suffix == ".gz" else whole(path)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(
            f"{path} cannot be read ({one_line(error)}); get the file again"
        ) from error
    header = 4 + 4 * dimensions
    if raw[:4] != bytes((0, 0, 8, dimensions)) or len(raw) < header:
        raise InputError(
            f"{path} is not an IDX file of bytes in {dimensions} dimensions; get the file again"
        )
    shape = np.frombuffer(raw, ">u4", count=dimensions, offset=4).tolist()
    if len(raw) != header + math.prod(shape) or 0 in shape:
        raise InputError(
            f"{path} has {len(raw) - header:,} bytes of values, but its header says "
            f"{math.prod(shape):,}; get the file again"
        )
    return torch.from_numpy(np.frombuffer(raw, np.uint8, offset=header).reshape(shape).copy())
