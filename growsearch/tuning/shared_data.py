"""Data sets that a node holds once in memory for all its trials, read-only, in Ray's object store.

The process that runs the search puts the data sets into the store. A node receives its copy when
its first trial starts, and the processes of its trials map that copy. Each trial has its own
memory for what it derives from a data set: the subset that train_size or train_fraction selects,
padded images, and copies on GPUs. Data sets that are mapped or read from files in each epoch are
shared through their files instead.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from growsearch.tasks.images.dataset import Dataset
from growsearch.tasks.images.images import Images
from growsearch.tasks.images.loading import whole_dataset
from growsearch.tasks.images.source import ImageSource
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.options import Value

Datasets = dict[tuple[Value, ...], Dataset]
"""Data sets by `data_key`."""


def data_key(config: TrialConfig) -> tuple[Value, ...]:
    """Equal keys load the same data, before a part is taken: name, data_dir, split, size of images
    that are resized, and the data set's own options.
    """
    source = config.dataset
    assert isinstance(source, ImageSource)
    size = config.image_size if source.resizes else None
    return source.name, config.data_dir, config.split, size, *source.values().values()


def shared_datasets(configs: Iterable[TrialConfig]) -> Datasets:
    """The data sets of `configs` that are held in memory, each loaded once."""
    different = {data_key(config): config for config in configs}
    every = {key: whole_dataset(config) for key, config in different.items()}
    return {key: dataset for key, dataset in every.items() if isinstance(dataset.train, Images)}


def own_data(configs: Iterable[TrialConfig]) -> list[dict[str, Any]]:
    """What a study keeps of the users' own images: `key`, digest and normalization of each set."""
    different = {data_key(config): config for config in configs if _is_own(config)}
    return [
        {"key": list(key), **whole_dataset(config).description} for key, config in different.items()
    ]


def check_own_data(known: Sequence[dict[str, Any]], configs: Iterable[TrialConfig]) -> None:
    """InputError if own images of `configs` are not those that `known`, from `own_data`, is of."""
    digests = {tuple(one["key"]): one["digest"] for one in known}
    for one in own_data(configs):
        if digests.get(tuple(one["key"]), one["digest"]) != one["digest"]:
            raise InputError(
                f"the images or labels of data_dir {one['key'][1]!r} have changed since the search "
                "began; restore them, or start a new search"
            )


def _is_own(config: TrialConfig) -> bool:
    return isinstance(config.dataset, ImageSource) and config.dataset.own
