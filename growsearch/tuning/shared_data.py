"""Data sets that a node holds once in memory for all its trials, read-only, in Ray's object store.

The process that runs the search puts the data sets into the store. A node receives its copy when
its first trial starts, and the processes of its trials map that copy. Each trial has its own
memory for what it derives from a data set: the subset that train_size or train_fraction selects,
padded images, and copies on GPUs. Data sets that are mapped or read from files in each epoch are
shared through their files instead.
"""

import json
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError

Datasets = dict[Hashable, Any]
"""What tasks have loaded, by `Task.load_key`."""


def shared_datasets(configs: Iterable[TrialConfig]) -> Datasets:
    """The data sets of `configs` that are held in memory, each loaded once."""
    every = {config.task.load_key(): config.task for config in configs}
    return {key: task.loaded for key, task in every.items() if task.is_shared}


def own_data(configs: Iterable[TrialConfig]) -> list[dict[str, Any]]:
    """What a study keeps of the users' own data: `key`, digest and normalization of each set."""
    different = {config.task.load_key(): config.task for config in configs}
    found = []
    for key, task in different.items():
        if (description := task.own_data()) is not None:
            found.append({"key": list(key), "data_dir": task.trial.data_dir, **description})
    return found


def check_own_data(known: Sequence[dict[str, Any]], configs: Iterable[TrialConfig]) -> None:
    """InputError if own data of `configs` are not those that `known`, from `own_data`, is of."""
    digests = {json.dumps(one["key"]): one["digest"] for one in known}
    for one in own_data(configs):
        if digests.get(json.dumps(one["key"]), one["digest"]) != one["digest"]:
            where = one["data_dir"]
            source = "that a plugin reads" if where is None else f"of data_dir {where!r}"
            raise InputError(
                f"the data {source} have changed since the search began; restore them, or start a "
                "new search"
            )
