"""Optuna's sampler as a component makes it, and what it is told of trials that have ended."""

from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from growsearch.searches.kinds import Sampler
from growsearch.trial.errors import InputError
from growsearch.trial.options import shortened
from growsearch.trial.status import Status

STATES = {
    Status.COMPLETED: TrialState.COMPLETE,
    Status.STOPPED: TrialState.PRUNED,
    Status.DIVERGED: TrialState.FAIL,
    Status.FAILED: TrialState.FAIL,
}
"""What a trial that has ended is to Optuna."""


def made_sampler(sampler: Sampler, seed: int, startup_trials: int) -> BaseSampler:
    """Optuna's sampler; InputError if the component makes none."""
    made: object = sampler.optuna_sampler(seed, startup_trials)
    if not isinstance(made, BaseSampler):
        raise InputError(
            f"optuna_sampler of sampler {sampler.name!r} returned {shortened(made)}; return an "
            "object of a class of optuna.samplers"
        )
    return made
