"""Learning rates as plain functions of the epoch and the growths so far.

`epoch` counts the epochs completed before the one whose learning rate is asked for.
"""

from bisect import bisect_right
from collections.abc import Sequence
from math import cos, pi

from growsearch.config import TrialConfig
from growsearch.history import History

LR_MIN = 0.001
"""Where the cosines end, or at `lr` if that is less; the authors' program ends here."""


def learning_rate(config: TrialConfig, history: History) -> float:
    """The learning rate of the epoch that follows `history`."""
    epoch, epochs, lr = len(history), config.epochs, config.lr
    match config.lr_schedule:
        case "adaptive-cosine":
            return adaptive_cosine(epoch, history.last_growth, epochs, lr)
        case "cosine":
            return adaptive_cosine(epoch, 0, epochs, lr)
        case "cosine-restarts":
            return cosine_restarts(epoch, config.lr_epochs or (), epochs, lr)
        case "step":
            return step(epoch, config.lr_epochs or (), lr)
        case _:
            return lr


def adaptive_cosine(epoch: int, last_growth: int, epochs: int, lr: float) -> float:
    """Cosine annealing whose cycle starts at the last growth and spans the epochs left.

    lr_min + (lr - lr_min) / 2 * (1 + cos(pi * (epoch - last_growth) / (epochs - last_growth)))
    (LipGrow, section 4.4). `last_growth` counts the epochs completed at the last growth; 0
    throughout is plain cosine annealing.
    """
    progress = (epoch - last_growth) / (epochs - last_growth)
    lr_min = min(LR_MIN, lr)
    return lr_min + (lr - lr_min) / 2 * (1 + cos(pi * progress))


def cosine_restarts(epoch: int, restarts: Sequence[int], epochs: int, lr: float) -> float:
    """Cosine annealing from each restart to the next (Loshchilov and Hutter 2016).

    Chang et al. (2017) restart it where they grow.
    """
    ends = [*restarts, epochs]
    cycle = bisect_right(ends, epoch)
    return adaptive_cosine(epoch, [0, *restarts][cycle], ends[cycle], lr)


def step(epoch: int, milestones: Sequence[int], lr: float) -> float:
    """A tenth of the learning rate after each milestone (He et al. 2016a)."""
    return lr * 0.1 ** bisect_right(milestones, epoch)
