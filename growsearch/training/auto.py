"""What a trial's "auto" options come to on this machine."""

from dataclasses import dataclass

import torch

from growsearch.machine.devices import device_of
from growsearch.machine.precision import check_precision
from growsearch.machine.processes import ranks
from growsearch.tasks.images.dataset import Dataset
from growsearch.tasks.images.loading import load_trial_dataset, named
from growsearch.training.auto_compile import auto_compile
from growsearch.training.auto_precision import auto_precision
from growsearch.trial.config import TrialConfig


@dataclass(frozen=True)
class Setting:
    """A trial on this machine. No option of `config` is "auto" but for its device."""

    config: TrialConfig
    dataset: Dataset
    """What it trains on, where it trains."""
    device: torch.device


def resolved(config: TrialConfig, dataset: Dataset | None = None) -> Setting:
    """Decide where the trial trains, in which precision, and whether steps are compiled.

    `dataset` is the whole data set, if it is loaded already; if it is of arrays, `config` says so.
    All processes of a trial decide alike. Raises InputError if data or device are not there.
    """
    config = named(config, dataset)
    group, device = ranks(), device_of(config.device)
    if config.precision == "auto":
        config = config.replaced(precision=group.same(auto_precision(device)))
    check_precision(config.precision, device)
    with group.first_before():
        dataset = load_trial_dataset(config, dataset)
    group.check(config.batch_size, len(dataset.train))
    dataset = dataset.to(device)
    if config.compile == "auto":
        decided = auto_compile(config, dataset, device) if group.first else "off"
        config = config.replaced(compile=group.same(decided))
    return Setting(config, dataset, device)
