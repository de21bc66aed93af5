"""Step sizes of residual blocks."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StepSize:
    """What growing by cloning has multiplied a block's residual with (LipGrow, section 4.1).

    `implicit` is in the weights: only the eps of some layers need to know it. `explicit` is a
    factor of the residual.
    """

    implicit: float = 1.0
    explicit: float = 1.0
