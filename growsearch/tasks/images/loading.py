"""Loads data sets by name, and the part of one that a trial trains on."""

import os
from functools import lru_cache
from typing import TYPE_CHECKING

from growsearch.machine.memory import check_fits
from growsearch.machine.processes import ranks
from growsearch.tasks.images.arrays import MEMORY
from growsearch.tasks.images.dataset import Dataset
from growsearch.tasks.images.divisions import halves, held_out
from growsearch.tasks.images.images import Split
from growsearch.tasks.images.read import read_images
from growsearch.tasks.images.source import ImageSource
from growsearch.tasks.images.spec import DataSpec
from growsearch.trial.components import component
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.options import as_text

if TYPE_CHECKING:
    from growsearch.tasks.images.image_data import ImageDataTask


def trial_dataset(task: "ImageDataTask", dataset: Dataset) -> Dataset:
    """The data of a trial, with its number of training images and its image size.

    `dataset` is the whole data set. Raises InputError if these numbers do not fit it.
    """
    trial, size, source = task.trial, task.train_size, source_of(task)
    if task.train_fraction is not None:
        size = max(round(task.train_fraction * len(dataset.train)), 1)
    if size is not None:
        dataset = dataset.subset(size, trial.seed)
    if task.batch_statistics and len(dataset.train) % trial.batch_size == 1:
        raise InputError(
            f"batch_size={trial.batch_size} leaves one of {len(dataset.train)} training images "
            "for the last batch, but batch normalization needs two; change batch_size or train_size"
        )
    ranks().check(trial.batch_size, len(dataset.train))
    if task.image_size is None or source.resizes:
        return dataset
    parts = (dataset.train, dataset.val, dataset.test)
    size = dataset.image_shape[0] * task.image_size**2 * sum(len(part) for part in parts)
    check_fits(size, f"image_size={task.image_size} for all images", "choose a smaller one")
    return dataset.padded(task.image_size)


def image_shape(task: "ImageDataTask", dataset: Dataset) -> tuple[int, int, int]:
    """Channels, height and width of the trial's images."""
    shape, size = dataset.image_shape, task.image_size
    return shape if size is None or source_of(task).resizes else (shape[0], size, size)


def whole_dataset(task: "ImageDataTask") -> Dataset:
    """The data set that a trial takes its part of. Files are read again if they have changed."""
    source, trial = source_of(task), task.trial
    _forget_changed(source, trial.data_dir)
    return load_dataset(source, trial.data_dir, task.split, task.read_size)


def source_of(task: "ImageDataTask") -> ImageSource:
    """Where the images come from."""
    source = task.trial.dataset
    assert isinstance(source, ImageSource)
    return source


def load_dataset(
    source: str | ImageSource, data_dir: str | None = None, split: str = "clean",
    image_size: int | None = None,
) -> Dataset:  # fmt: skip
    """The data set `source` on the CPU; `split` names its division, the same for every trial.

    - "clean" validates on training images, equally many of each class, which it does not train on.
      A data set without test images also has its test set held out of training.
    - "paper" trains on all training images, and validates on half of the test images; `test` is
      the other half (LipGrow's program).
    - "autogrow-paper" trains on all training images, and validates on all test images, so that
      `test` is `val` (AutoGrow's program).

    A user's own images divide themselves, and those of a folder are resized to `image_size`.
    Raises InputError if files are missing or damaged.
    """
    if isinstance(source, str):
        made = component("dataset", source)()
        assert isinstance(made, ImageSource)
        source = made
    return _load(source, data_dir, split, image_size, os.getcwd())


@lru_cache(maxsize=8)
def _load(
    source: ImageSource, data_dir: str | None, split: str, image_size: int | None,
    working_folder: str,
) -> Dataset:  # fmt: skip
    """`working_folder` is part of the cache's key, because a relative `data_dir` starts there."""
    parts = source.parts(data_dir, split, image_size)
    if parts is not None:
        return Dataset(*parts, arrays=None)
    train, test, spec = read_images(source, data_dir)
    return _DIVISIONS[split](source.name, spec, train, test)


def named(task: "ImageDataTask", dataset: Dataset | None) -> TrialConfig:
    """The trial's configuration; if `dataset` is of arrays, it says so and has their hash.

    Raises InputError if it was given other data.
    """
    config = task.trial
    if dataset is None or dataset.arrays is None:
        return config
    own = {"dataset": "arrays", "data_dir": f"{MEMORY}{dataset.digest[:16]}", **dataset.arrays}
    for name in ("dataset", "data_dir", *component("dataset", "arrays").options()):
        given = config.given.get(name)
        if given in (None, own.get(name)):
            continue
        if name == "data_dir" and str(given).startswith(MEMORY):
            raise InputError(
                f"the trial has the arrays {given!r}, but those that are given are "
                f"{own[name]!r}; give the same images and labels, divided alike"
            )
        raise InputError(
            f"{name}={as_text(given)} is given beside arrays, for which it is "
            f"{as_text(own.get(name))}; leave {name} out, or dataset"
        )
    if task.split != "clean":
        raise InputError(f"split={task.split!r} is given beside arrays; leave split out")
    return config.replaced(**own)


_STATES: dict[tuple[str, str | None, str], str] = {}
"""The state of the files that are loaded: see `ImageSource.state`."""


def _forget_changed(source: ImageSource, data_dir: str | None) -> None:
    """Forget loaded data sets if files have changed since they were read."""
    key, state = (source.name, data_dir, os.getcwd()), source.state(data_dir)
    if _STATES.setdefault(key, state) != state:
        _load.cache_clear()
        _STATES[key] = state


def _clean(name: str, spec: DataSpec, train: Split, test: Split | None) -> Dataset:
    if spec.val_per_class < 1:
        raise InputError(
            f"dataset {name!r} has val_per_class={spec.val_per_class}, but split 'clean' validates "
            "on that many images of each class; give 1 or more"
        )
    if test is None:
        train, test = held_out(train, spec.classes, spec.val_per_class)
    train, val = held_out(train, spec.classes, spec.val_per_class)
    return Dataset(train, val, test, spec, arrays=None)


def _paper(name: str, spec: DataSpec, train: Split, test: Split | None) -> Dataset:
    val, test = halves(_published(name, "paper", test), shuffled=spec.test_shuffled)
    return Dataset(train, val, test, spec, arrays=None)


def _autogrow_paper(name: str, spec: DataSpec, train: Split, test: Split | None) -> Dataset:
    test = _published(name, "autogrow-paper", test)
    return Dataset(train, test, test, spec, arrays=None)


def _published(name: str, split: str, test: Split | None) -> Split:
    if test is None:
        raise InputError(
            f"split {split!r} validates on a published test set, but {name} has none; choose split "
            "'clean' or another dataset"
        )
    return test


_DIVISIONS = {"clean": _clean, "paper": _paper, "autogrow-paper": _autogrow_paper}
