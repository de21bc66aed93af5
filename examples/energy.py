"""A cost of your own: energy, from a table of the power that architectures draw.

growsearch search lipgrow --plugin examples/energy.py --cost energy --scheduler pareto
"""

from dataclasses import dataclass

from growsearch import Architecture, Cost, register

WATTS = ((6, 11.0), (12, 14.0), (24, 19.0))
"""The largest number of blocks, and the power drawn up to it."""


@register("cost", "energy")
@dataclass(frozen=True, kw_only=True)
class Energy(Cost):
    """The energy of all epochs, in joules: their seconds times the power of the architecture."""

    unit = "J"

    def of_epoch(self, work, record):
        blocks = sum(Architecture(work.architecture).blocks)
        watts = next((power for most, power in WATTS if blocks <= most), WATTS[-1][1])
        return watts * record.seconds
