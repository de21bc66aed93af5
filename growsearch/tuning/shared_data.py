"""Data sets that a node holds once in memory for all its trials, read-only, in Ray's object store.

The process that runs the search puts the data sets into the store. A node receives its copy when
its first trial starts, and the processes of its trials map that copy. Each trial has its own
memory for what it derives from a data set: the subset that train_size or train_fraction selects,
padded images, and copies on GPUs. Data sets that are mapped or read from files in each epoch are
shared through their files instead.
"""

from collections.abc import Hashable, Iterable
from typing import Any

from growsearch.trial.config import TrialConfig

Datasets = dict[Hashable, Any]
"""What tasks have loaded, by `Task.load_key`."""


def shared_datasets(configs: Iterable[TrialConfig]) -> Datasets:
    """The data sets of `configs` that are held in memory, each loaded once."""
    every = {config.task.load_key(): config.task for config in configs}
    return {key: task.loaded for key, task in every.items() if task.is_shared}
