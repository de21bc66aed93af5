"""Data sets that a node holds once in memory for all its trials, read-only, in Ray's object store.

The process that runs the search puts the data sets into the store. A node receives its copy when
its first trial starts, and the processes of its trials map that copy. Each trial has its own
memory for what it derives from a data set: the subset that train_size or train_fraction selects,
padded images, and copies on GPUs. Data sets that are mapped or read from files in each epoch are
shared through their files instead.
"""

from collections.abc import Iterable

from growsearch.tasks.images.dataset import Dataset
from growsearch.tasks.images.images import Images
from growsearch.tasks.images.loading import load_dataset
from growsearch.trial.config import TrialConfig

Datasets = dict[tuple[str, str | None, str], Dataset]
"""Data sets by `data_key`."""


def data_key(config: TrialConfig) -> tuple[str, str | None, str]:
    """(dataset, data_dir, split): equal keys load the same data, before a subset is taken."""
    return config.dataset.name, config.data_dir, config.split


def shared_datasets(configs: Iterable[TrialConfig]) -> Datasets:
    """The data sets of `configs` that are held in memory, each loaded once."""
    every = {key: load_dataset(*key) for key in map(data_key, configs)}
    return {key: dataset for key, dataset in every.items() if isinstance(dataset.train, Images)}
