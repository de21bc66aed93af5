"""Learning rates as plain functions of the epoch and the growths so far."""

from math import cos, pi


def adaptive_cosine(
    epoch: int, *, last_growth: int, epochs: int, lr_max: float, lr_min: float = 0.001
) -> float:
    """Cosine annealing whose cycle restarts at each growth and spans the epochs left.

    lr_min + (lr_max - lr_min) / 2 * (1 + cos(pi * (epoch - last_growth) / (epochs - last_growth)))
    (LipGrow, section 4.4; the authors' program anneals from 0.5 to 0.001). `epoch` counts the
    epochs completed before this one, `last_growth` those completed at the last growth.
    """
    progress = (epoch - last_growth) / (epochs - last_growth)
    return lr_min + (lr_max - lr_min) / 2 * (1 + cos(pi * progress))
