"""When a network grows, and to what: pure functions of the configuration and the history."""

from dataclasses import dataclass
from statistics import fmean

from growsearch.architecture import Architecture
from growsearch.config import TrialConfig
from growsearch.history import History


@dataclass(frozen=True)
class Grow:
    """The decision to go on as a deeper network, and why."""

    architecture: Architecture
    reason: str


def decide(config: TrialConfig, history: History) -> Grow | None:
    """What the configured policy does after the last epoch of `history`; None is nothing.

    A policy reads validation data and Lipschitz constants only, never the test accuracy.
    """
    if len(history) >= config.epochs:
        return None
    return _POLICIES[config.policy](config, history)


def none(config: TrialConfig, history: History) -> Grow | None:
    """Never grow: the papers' vanilla network."""
    return None


def fixed(config: TrialConfig, history: History) -> Grow | None:
    """Double the depth after each of the configured growth epochs."""
    assert config.growth_epochs is not None
    if len(history) in config.growth_epochs:
        return Grow(Architecture(history[-1].architecture).doubled(), "scheduled")
    return None


def lipschitz(config: TrialConfig, history: History) -> Grow | None:
    """Double the depth when the Lipschitz constant has risen by `rtol` (LipGrow, section 4.2).

    The constant is smoothed over the last `window` epochs of the present depth. Its baseline is
    its first smoothed value at this depth: the paper's "first epoch", but read once the running
    statistics have settled. A growth that is still due is forced when no more than `reserve`
    epochs for the last depth and `window` for each depth between remain.
    """
    assert config.rtol and config.window and config.reserve is not None and config.max_architecture
    architecture = Architecture(history[-1].architecture)
    growths_left = architecture.doublings_to(Architecture(config.max_architecture))
    if growths_left == 0:
        return None
    constants = [record.lipschitz for record in history.since_growth]
    if len(constants) > config.window:
        ratio = fmean(constants[-config.window :]) / fmean(constants[: config.window])
        if ratio > config.rtol:
            return Grow(
                architecture.doubled(), f"Lipschitz ratio {ratio:.3f} > rtol {config.rtol:g}"
            )
    epochs_left = config.epochs - len(history)
    if epochs_left <= config.reserve + (growths_left - 1) * config.window:
        return Grow(architecture.doubled(), f"forced with {epochs_left} epochs left")
    return None


_POLICIES = {"none": none, "fixed": fixed, "lipschitz": lipschitz}
