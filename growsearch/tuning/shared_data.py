"""Data sets in memory once a node, not once a trial: Ray's object store has them, read-only.

The process that runs the search puts them there; a node gets a copy when its first trial starts,
and the processes of trials map it. What a trial makes of a data set is its own: the part that
train_size or train_fraction takes of the training images, images that are padded, and copies on
GPUs. Data sets in files, which are mapped or read in each epoch, are shared as these.
"""

from collections.abc import Iterable

from growsearch.tasks.images.dataset import Dataset
from growsearch.tasks.images.images import Images
from growsearch.tasks.images.loading import load_dataset
from growsearch.trial.config import TrialConfig

Datasets = dict[tuple[str, str | None, str], Dataset]
"""By `data_key`."""


def data_key(config: TrialConfig) -> tuple[str, str | None, str]:
    """What is loaded for the trial, before any part is taken of it."""
    return config.dataset.name, config.data_dir, config.split


def shared_datasets(configs: Iterable[TrialConfig]) -> Datasets:
    """Those of `configs` that are in memory."""
    every = {key: load_dataset(*key) for key in map(data_key, configs)}
    return {key: dataset for key, dataset in every.items() if isinstance(dataset.train, Images)}
