"""What is measured of a growth by LipGrow's theory (section 3.3)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class GrowthMeasures:
    """One value for each sub-network, old and grown, on its input in the old network."""

    temporal_error: tuple[float, ...]
    """e(N, N+): mean distance of the grown sub-network's output from the old one's."""
    functional_difference: tuple[float | None, ...]
    """C(N, N+), equation 4: largest distance of a grown block's f from the f of its nearest old
    block. None if blocks are not residual, or if the sub-network grew from one block, which is not
    near the new ones."""
    temporal_bound: tuple[float | None, ...]
    """Upper bound of the temporal error (theorem 3), with suprema over the measured images; None
    where `functional_difference` is None."""
