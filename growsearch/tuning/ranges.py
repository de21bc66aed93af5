"""Tune's ranges of numbers, taken apart."""

from dataclasses import dataclass
from typing import Any

from growsearch.tuning.ray_private import Float, Integer, LogUniform, Quantized, Uniform


@dataclass(frozen=True)
class Range:
    """What tune.uniform, loguniform, randint or lograndint draws from, or a quantized form."""

    lower: Any
    upper: Any
    whole: bool
    log: bool
    step: Any
    """Values are multiples of it; None for those that are not quantized."""

    @property
    def ends(self) -> tuple[Any, Any]:
        """The smallest and the largest value; the other way round if there is none.

        Tune includes the upper end of whole numbers only if the step is above 1. It refuses other
        ranges whose ends are no multiples of the step.
        """
        if not self.whole:
            return self.lower, self.upper
        step = self.step or 1
        low, high = -(-self.lower // step), (self.upper - (step == 1)) // step
        return low * step, high * step


def range_of(values: Any) -> Range | None:
    """The range that a domain of a search space draws from; None for everything else."""
    if not isinstance(values, Float | Integer):
        return None
    sampler: Any = values.get_sampler()
    step = None
    if isinstance(sampler, Quantized):
        sampler, step = sampler.sampler, sampler.q
    if not isinstance(sampler, Uniform | LogUniform):
        return None
    whole, log = isinstance(values, Integer), isinstance(sampler, LogUniform)
    return Range(values.lower, values.upper, whole, log, step)
