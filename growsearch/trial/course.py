"""A learning rate that changes within an epoch, as it is known before the data are loaded.

Time counts epochs: 2.25 is a quarter of the third epoch. A step has the rate of the middle of its
time, so the first step of a warm-up moves and so does the last one of a fall to zero, and the mean
over the steps of a straight line is its rate at the middle of the epoch.
"""

from collections.abc import Callable, Mapping
from math import cos, pi, sqrt
from types import MappingProxyType
from typing import NamedTuple

SHAPES: Mapping[str, Callable[[float], float]] = MappingProxyType({
    "linear": lambda x: 1 - x,
    "cosine": lambda x: (1 + cos(pi * x)) / 2,
    "1-sqrt": lambda x: 1 - sqrt(x),
})  # fmt: skip
"""What is left of a fall after its part x: 1 at x = 0, and 0 at x = 1."""


class Fall(NamedTuple):
    """How the rate falls from time `begin` to time `end`."""

    shape: str
    """One of SHAPES."""
    begin: float
    end: float
    last: float
    """The rate at its end, and from there on."""

    def at(self, time: float, first: float) -> float:
        """The rate at `time`; `first` is the rate before the fall."""
        part = min(max((time - self.begin) / (self.end - self.begin), 0.0), 1.0)
        return self.last + (first - self.last) * SHAPES[self.shape](part)


class Course(NamedTuple):
    """The rates of one epoch, from time `epoch` to `epoch` + 1.

    Equal courses have equal rates, whatever the number of steps.
    """

    epoch: int
    rate: float
    """Before warm-up and fall change it."""
    warmup: float
    """Until this time the rate is multiplied by time / warmup; 0: there is no warm-up here."""
    fall: Fall | None

    def at(self, time: float) -> float:
        """The rate at `time`."""
        rate = self.rate if self.fall is None else self.fall.at(time, self.rate)
        return rate * min(time / self.warmup, 1.0) if self.warmup else rate

    def by_step(self, steps: int) -> tuple[float, ...]:
        """The rate of each of the epoch's `steps`."""
        return tuple(self.at(self.epoch + (step + 0.5) / steps) for step in range(steps))


def course(epoch: int, rate: float, warmup: float, fall: Fall | None) -> float | Course:
    """The rates of the epoch after `epoch` epochs; a number if they are all the same."""
    if warmup <= epoch:
        warmup = 0.0
    if fall is not None and epoch >= fall.end:
        rate = fall.last
    if fall is not None and (fall.begin >= epoch + 1 or epoch >= fall.end or fall.last == rate):
        fall = None
    if fall is None and not warmup:
        return rate
    return Course(epoch, rate, warmup, fall)
