"""Loads data sets by name, and the part of one that a trial trains on."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial

import torch

from growsearch.tasks.images.dataset import Dataset
from growsearch.tasks.images.divisions import halves, held_out
from growsearch.tasks.images.imagenet import read_imagenet
from growsearch.tasks.images.images import Images, Split
from growsearch.tasks.images.mnist import read_idx_set
from growsearch.tasks.images.spec import DataSpec
from growsearch.tasks.images.tiny_imagenet import read_tiny_imagenet
from growsearch.tasks.images.torchvision_files import read_cifar, read_svhn
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError

SPECS = {
    "digits": DataSpec(
        classes=10, val_per_class=30, pixel_max=16, mean=(0.3049,), std=(0.3758,), crop=1
    ),
    "mnist": DataSpec(classes=10, val_per_class=500, mean=(0.1307,), std=(0.3081,)),
    "fashion-mnist": DataSpec(
        classes=10, val_per_class=500, mean=(0.2860,), std=(0.3530,), flip=True
    ),
    "cifar10": DataSpec(
        classes=10, val_per_class=500, crop=4, flip=True,
        mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010),
    ),
    "cifar100": DataSpec(
        classes=100, val_per_class=50, crop=4, flip=True,
        mean=(0.5071, 0.4865, 0.4409), std=(0.2673, 0.2564, 0.2762),
    ),
    "svhn": DataSpec(
        classes=10, val_per_class=500, crop=4,
        mean=(0.4377, 0.4438, 0.4728), std=(0.1980, 0.2010, 0.1970),
    ),
    "tiny-imagenet": DataSpec(
        classes=200, val_per_class=25, rotation=20, flip=True, test_shuffled=True,
        mean=(0.4802, 0.4481, 0.3975), std=(0.2770, 0.2691, 0.2821),
    ),
    "imagenet": DataSpec(
        classes=1000, val_per_class=50, flip=True, test_shuffled=True,
        mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225),
    ),
}  # fmt: skip
"""Pixel statistics are those in common use. CIFAR-10's `std`, which LipGrow uses too, is the mean
over images of each image's deviation, which is less than the deviation of all pixels."""


def load_trial_dataset(config: TrialConfig, dataset: Dataset | None = None) -> Dataset:
    """The data of a trial, with its number of training images and its image size.

    `dataset` is the whole data set if it is already loaded. Raises InputError like `load_dataset`,
    and if these numbers do not fit the data set.
    """
    if dataset is None:
        dataset = load_dataset(config.dataset, config.data_dir, config.split)
    size = config.train_size
    if config.train_fraction is not None:
        size = max(round(config.train_fraction * len(dataset.train)), 1)
    if size is not None:
        dataset = dataset.subset(size, config.seed)
    if len(dataset.train) % config.batch_size == 1:
        raise InputError(
            f"batch_size={config.batch_size} leaves one of {len(dataset.train)} training images "
            "for the last batch, but batch normalization needs two; change batch_size or train_size"
        )
    return dataset if config.image_size is None else dataset.padded(config.image_size)


def load_dataset(name: str, data_dir: str | None = None, split: str = "clean") -> Dataset:
    """The data set `name` on the CPU; `split` names its division, the same for every trial.

    - "clean" validates on training images, equally many of each class, which it does not train on.
      A data set without test images also has its test set held out of training.
    - "paper" trains on all training images, and validates on half of the test images; `test` is
      the other half (LipGrow's program).
    - "autogrow-paper" trains on all training images, and validates on all test images, so that
      `test` is `val` (AutoGrow's program).

    Raises InputError if files are missing or damaged.
    """
    return _load(name, data_dir, split, os.getcwd())


@lru_cache(maxsize=4)
def _load(name: str, data_dir: str | None, split: str, working_folder: str) -> Dataset:
    """`working_folder` is part of the cache's key, because a relative `data_dir` starts there."""
    train, test = _READERS[name](data_dir)
    spec = SPECS[name]
    if name == "imagenet":  # the folder may have a part of its classes
        spec = replace(spec, classes=int(train.labels.max()) + 1)
    return _DIVISIONS[split](name, spec, train, test)


def _read_digits(data_dir: str | None) -> tuple[Images, None]:
    """scikit-learn's 1,797 digits, 8x8 pixels of values 0 to 16. There is no test set."""
    from sklearn.datasets import load_digits

    if data_dir is not None:
        raise InputError(f"data_dir {data_dir!r} must be left out: digits come with scikit-learn")
    bunch = load_digits()
    images = torch.tensor(bunch.images, dtype=torch.uint8)[:, None]
    return Images(images, torch.tensor(bunch.target, dtype=torch.int64)), None


_Read = tuple[Split, Split | None]
_READERS: dict[str, Callable[[str | None], _Read]] = {
    "digits": _read_digits,
    "mnist": partial(read_idx_set, "mnist"),
    "fashion-mnist": partial(read_idx_set, "fashion-mnist"),
    "cifar10": partial(read_cifar, "cifar10"),
    "cifar100": partial(read_cifar, "cifar100"),
    "svhn": partial(read_svhn, "svhn"),
    "tiny-imagenet": read_tiny_imagenet,
    "imagenet": read_imagenet,
}


def _clean(name: str, spec: DataSpec, train: Split, test: Split | None) -> Dataset:
    if test is None:
        train, test = held_out(train, spec.classes, spec.val_per_class)
    train, val = held_out(train, spec.classes, spec.val_per_class)
    return Dataset(train, val, test, spec)


def _paper(name: str, spec: DataSpec, train: Split, test: Split | None) -> Dataset:
    val, test = halves(_published(name, "paper", test), shuffled=spec.test_shuffled)
    return Dataset(train, val, test, spec)


def _autogrow_paper(name: str, spec: DataSpec, train: Split, test: Split | None) -> Dataset:
    test = _published(name, "autogrow-paper", test)
    return Dataset(train, test, test, spec)


def _published(name: str, split: str, test: Split | None) -> Split:
    if test is None:
        raise InputError(
            f"split {split!r} validates on a published test set, but {name} has none; choose split "
            "'clean' or another dataset"
        )
    return test


_DIVISIONS = {"clean": _clean, "paper": _paper, "autogrow-paper": _autogrow_paper}
