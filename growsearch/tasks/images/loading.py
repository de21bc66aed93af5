"""Loads data sets by name, and the part of one that a trial trains on."""

import os
from functools import lru_cache

from growsearch.machine.processes import ranks
from growsearch.tasks.images.dataset import Dataset
from growsearch.tasks.images.divisions import halves, held_out
from growsearch.tasks.images.images import Split
from growsearch.tasks.images.source import ImageSource
from growsearch.tasks.images.spec import DataSpec
from growsearch.tasks.images.task import ImageTask
from growsearch.trial.components import component
from growsearch.trial.errors import InputError


def trial_dataset(task: ImageTask, dataset: Dataset) -> Dataset:
    """The data of a trial, with its number of training images and its image size.

    `dataset` is the whole data set. Raises InputError if these numbers do not fit it.
    """
    trial, size = task.trial, task.train_size
    if task.train_fraction is not None:
        size = max(round(task.train_fraction * len(dataset.train)), 1)
    if size is not None:
        dataset = dataset.subset(size, trial.seed)
    if len(dataset.train) % trial.batch_size == 1:
        raise InputError(
            f"batch_size={trial.batch_size} leaves one of {len(dataset.train)} training images "
            "for the last batch, but batch normalization needs two; change batch_size or train_size"
        )
    ranks().check(trial.batch_size, len(dataset.train))
    return dataset if task.image_size is None else dataset.padded(task.image_size)


def image_shape(task: ImageTask, dataset: Dataset) -> tuple[int, int, int]:
    """Channels, height and width of the trial's images."""
    shape, size = dataset.image_shape, task.image_size
    return shape if size is None else (shape[0], size, size)


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
    source = component("dataset", name)()
    assert isinstance(source, ImageSource)
    train, test = source.read(data_dir)
    return _DIVISIONS[split](name, source.spec_of(train), train, test)


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
