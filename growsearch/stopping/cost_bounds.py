"""The least that a trial can cost in the end, at each of its epochs.

Networks only grow. So what the epochs so far cost, and the rest at the size that the policy will
have at least, is a lower bound; it never falls, is the cost itself at the end, and from the first
epoch on where the schedule is fixed. AutoGrow's trials are open-ended: they have at least their
fine-tuning before them, and more and larger epochs can only raise their mean.
"""

import copy
from collections.abc import Callable, Sequence
from functools import cache, partial

from growsearch.policies.path import BLANK, TrialPath
from growsearch.tasks.images.costs import FLOPS_PER_MAC, count_macs, count_parameters
from growsearch.tasks.images.families import build_network
from growsearch.tasks.images.loading import load_dataset
from growsearch.trial.architecture import Architecture
from growsearch.trial.choices import AUTOGROW
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import FINE_TUNING, EpochRecord

Size = Callable[[str], tuple[int, int]]
"""Of an architecture: its parameters, and its multiply-accumulates for one image."""


class CostBound:
    """Follows one trial, whose networks have the sizes that `size` tells."""

    def __init__(self, config: TrialConfig, size: Size) -> None:
        self.path = TrialPath(config)
        self.size = size
        self._ahead: list[str] = []
        """The architectures of the epochs that are left at least, the next one last."""
        self._totals: dict[str, float] = {"flops": 0.0, "seconds": 0.0}
        self._flops = 0.0

    def extend(self, record: EpochRecord) -> None:
        """One epoch more."""
        expected = bool(self._ahead) and self._ahead.pop() == record.architecture
        self.path.extend(record)
        images = (record.train_flops - self._flops) / (FLOPS_PER_MAC * record.macs)
        self._flops = record.train_flops
        goes_on = [] if self.path.ended else [self.path.architecture]
        if not expected or self._ahead[-1:] != goes_on or self.path.config.policy in AUTOGROW:
            self._ahead = self._least_ahead()
            sizes = [self.size(architecture) for architecture in self._ahead]
            param_epochs = record.param_epochs + sum(parameters for parameters, _ in sizes)
            macs = sum(macs for _, macs in sizes)
            self._totals |= {
                "ppe": param_epochs / (record.epoch + len(sizes)),
                "param_epochs": param_epochs,
                "flops": record.train_flops + FLOPS_PER_MAC * images * macs,
            }
        self._totals["seconds"] += record.seconds

    def costs(self, names: Sequence[str]) -> tuple[float, ...]:
        """Lower bounds of the final "ppe", "param_epochs", "flops" or "seconds".

        Of seconds, those so far: how long an epoch takes is not known beforehand.
        """
        return tuple(self._totals[name] for name in names)

    def _least_ahead(self) -> list[str]:
        path, config = copy.copy(self.path), self.path.config
        if config.policy in AUTOGROW:
            assert config.finetune_epochs is not None
            tuned = sum(record.phase == FINE_TUNING for record in path.history)
            return [path.architecture] * (config.finetune_epochs - tuned)
        ahead = []
        while not path.ended:
            ahead.append(path.architecture)
            path.extend(BLANK)
        return ahead[::-1]


def sizes_of(config: TrialConfig) -> Size:
    """The sizes of the networks that the trial may have."""
    dataset = load_dataset(config.dataset, config.data_dir, config.split)
    shape = dataset.image_shape
    if config.image_size is not None:
        shape = (shape[0], config.image_size, config.image_size)
    return partial(_size, config.network, shape, dataset.classes)


@cache
def _size(
    network: str, shape: tuple[int, int, int], classes: int, architecture: str
) -> tuple[int, int]:
    built = build_network(network, Architecture(architecture), shape, classes, seed=0)
    return count_parameters(built), count_macs(built, shape)
