"""CIFAR-10, CIFAR-100 and SVHN: colour images of 32x32 pixels, read by torchvision."""

from collections.abc import Callable
from pathlib import Path

import torch

from growsearch.machine.cache import cache_folder
from growsearch.tasks.images.folders import given_folder
from growsearch.tasks.images.images import Images
from growsearch.trial.errors import InputError, one_line


def read_cifar(name: str, data_dir: str | None) -> tuple[Images, Images]:
    """50,000 training and 10,000 test images of "cifar10" or "cifar100".

    `data_dir` is torchvision's folder (cifar-10-batches-py) or the one above. Without it they come
    from the cache folder, where torchvision downloads them if they are missing. Raises InputError
    if files are missing or damaged, or cannot be downloaded.
    """
    from torchvision import datasets

    source = getattr(datasets, name.upper())
    below = Path(source.base_folder)
    listed = [*source.train_list, *source.test_list, (source.meta["filename"], source.meta["md5"])]
    checksums = {below / file: md5 for file, md5 in listed}

    def read(root: Path, train: bool, download: bool) -> Images:
        part = source(str(root), train=train, download=download)
        images = torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous()
        return Images(images, torch.tensor(part.targets))

    return _read(name, data_dir, checksums, read)


def read_svhn(name: str, data_dir: str | None) -> tuple[Images, Images]:
    """73,257 training and 26,032 test images of house numbers, without SVHN's `extra` images.

    `data_dir` has train_32x32.mat and test_32x32.mat. Default and errors are as in `read_cifar`.
    """
    from torchvision.datasets import SVHN

    listed = [SVHN.split_list[split] for split in ("train", "test")]
    checksums = {Path(file): md5 for _, file, md5 in listed}

    def read(root: Path, train: bool, download: bool) -> Images:
        part = SVHN(str(root), split="train" if train else "test", download=download)
        return Images(torch.from_numpy(part.data).contiguous(), torch.from_numpy(part.labels))

    return _read(name, data_dir, checksums, read)


def _read(
    name: str,
    data_dir: str | None,
    checksums: dict[Path, str],
    read: Callable[[Path, bool, bool], Images],
) -> tuple[Images, Images]:
    """Training and test images; `checksums` are the MD5 sums of files, by path below the root."""
    if data_dir is None:
        root = cache_folder()
        remedy = "give the folder with its files as data_dir"
    else:
        root = _root(data_dir, checksums)
        remedy = "get it again, or leave data_dir out to have it downloaded"
    try:
        return read(root, True, data_dir is None), read(root, False, data_dir is None)
    except Exception as error:  # pickle, scipy and torchvision raise many types
        problem = _problem(root, checksums) or f"the files in {root} cannot be read"
        if data_dir is None:
            problem += f" and {name}'s download failed"
        raise InputError(f"{problem} ({one_line(error)}); {remedy}") from error


def _root(data_dir: str, checksums: dict[Path, str]) -> Path:
    """The folder that the paths in `checksums` start from: `data_dir` or the one above."""
    given = given_folder(data_dir, ", ".join(map(str, checksums)))
    own = next(iter(checksums)).parent
    inside = own.name and not (given / own).is_dir() and given.resolve().name == own.name
    return given.resolve().parent if inside else given


def _problem(root: Path, checksums: dict[Path, str]) -> str | None:
    """What is wrong with the first file that is missing or damaged; None if no file is."""
    from torchvision.datasets.utils import check_integrity

    for file, md5 in checksums.items():
        if not (root / file).is_file():
            return f"{root / file} is missing"
        if not check_integrity(str(root / file), md5):
            return f"{root / file} is damaged: its checksum is not {md5}"
    return None
