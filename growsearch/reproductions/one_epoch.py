"""Whether a definition's trials can be trained: one epoch over a few images that are made here."""

import torch

from growsearch.tasks.images.dataset import Dataset
from growsearch.tasks.images.images import Images
from growsearch.tasks.images.source import ImageSource
from growsearch.trainer import Trainer
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import EpochRecord

SIZE, TRAINED, HELD_OUT = 32, 32, 20
"""Height and width of the papers' images; how many are trained on, and how many validate."""


def one_epoch(config: TrialConfig) -> EpochRecord:
    """The first epoch of a trial of images, with noise in place of its data set.

    Network, classes, batch size, learning rate and augmentation are the trial's. No files are
    read. Raises InputError if the trial cannot be trained.
    """
    source = config.dataset
    assert isinstance(source, ImageSource) and source.spec is not None
    spec, draw = source.spec, torch.Generator().manual_seed(0)

    def split(count: int) -> Images:
        shape = (count, len(spec.mean), SIZE, SIZE)
        images = torch.randint(0, 256, shape, generator=draw, dtype=torch.uint8)
        return Images(images, torch.arange(count) % spec.classes)

    made = Dataset(split(TRAINED), split(HELD_OUT), split(HELD_OUT), spec, arrays=None)
    return next(iter(Trainer(config, dataset=made)))
