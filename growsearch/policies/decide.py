"""When a network grows, and to what: pure functions of the configuration and the history.

AutoGrow's policies are in autogrow_policies.py.
"""

from statistics import fmean

from growsearch.policies.autogrow import convergent, periodic
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import TRAINING, History
from growsearch.trial.phases import Decision, Grow


def decide(config: TrialConfig, history: History) -> Decision | None:
    """What the configured policy does after the last epoch of `history`; None is nothing.

    A policy reads validation data and Lipschitz constants only, never the test accuracy. It counts
    the epochs that trained the whole network, and decides after those alone.
    """
    trained = history.trained
    if history[-1].phase != TRAINING or len(trained) >= config.epochs:
        return None
    return _POLICIES[config.policy](config, trained)


def none(config: TrialConfig, history: History) -> Grow | None:
    """Never grow: the papers' vanilla network."""
    return None


def fixed(config: TrialConfig, history: History) -> Grow | None:
    """Grow after each of the configured growth epochs, by default to twice the depth.

    Policy hand-tuned is this one with the epochs that Chang et al. (2017) settled on by trial.
    """
    assert config.growth_epochs is not None
    assert config.growth_architectures is not None
    targets = dict(zip(config.growth_epochs, config.growth_architectures, strict=True))
    if len(history) in targets:
        return Grow(Architecture(targets[len(history)]), "scheduled")
    return None


def lipschitz(config: TrialConfig, history: History) -> Grow | None:
    """Double the depth when the Lipschitz constant has risen by `rtol` (LipGrow, section 4.2).

    The constant is smoothed over the last `window` epochs of the present depth. Its baseline is
    its first smoothed value at this depth: the paper's "first epoch", but read once the running
    statistics have settled; baseline "first-epoch" takes the paper at its word. A growth that is
    still due is forced when no more than `reserve` epochs for the last depth and `window` for
    each depth between remain.
    """
    assert config.max_architecture
    architecture = Architecture(history[-1].architecture)
    growths_left = architecture.doublings_to(Architecture(config.max_architecture))
    constants = [record.lipschitz for record in history.since_growth]
    reason = _reason_to_grow(config, constants, growths_left, config.epochs - len(history))
    return Grow(architecture.doubled(), reason) if reason else None


def lipschitz_subnetworks(config: TrialConfig, history: History) -> Grow | None:
    """Each sub-network by the rule of `lipschitz`, on its own constant, and grown alone.

    What LipGrow's authors leave as further work. Its window and baseline start anew when it has
    grown itself, not when another has.
    """
    assert config.max_architecture
    blocks = Architecture(history[-1].architecture).blocks
    final = Architecture(config.max_architecture).blocks
    grown, reasons = list(blocks), []
    for i, (n, n_final) in enumerate(zip(blocks, final, strict=True)):
        depths = [Architecture(record.architecture).blocks[i] for record in history]
        constants = [
            record.lipschitz_subnetworks[i]
            for record, depth in zip(history, depths, strict=True)
            if depth == n
        ]
        growths_left = Architecture([n]).doublings_to(Architecture([n_final]))
        reason = _reason_to_grow(config, constants, growths_left, config.epochs - len(history))
        if reason:
            grown[i] = 2 * n
            reasons.append(f"sub-network {i + 1}: {reason}")
    return Grow(Architecture(grown), "; ".join(reasons)) if reasons else None


def _reason_to_grow(
    config: TrialConfig, constants: list[float], growths_left: int, epochs_left: int
) -> str | None:
    """Why to grow after `constants`, those of the present depth; None if there is no reason."""
    assert config.rtol
    assert config.window
    assert config.reserve
    if growths_left == 0:
        return None
    if len(constants) > config.window:
        smoothed = fmean(constants[-config.window :])
        first = 1 if config.baseline == "first-epoch" else config.window
        ratio = smoothed / fmean(constants[:first])
        if ratio > config.rtol:
            return f"Lipschitz ratio {ratio:.3f} > rtol {config.rtol:g}"
    if epochs_left <= config.reserve + (growths_left - 1) * config.window:
        return f"forced with {epochs_left} epochs left"
    return None


_POLICIES = {
    "none": none,
    "fixed": fixed,
    "hand-tuned": fixed,
    "lipschitz": lipschitz,
    "lipschitz-subnetworks": lipschitz_subnetworks,
    "periodic": periodic,
    "convergent": convergent,
}
