"""Longer horizons for the trials of a search: the same configurations with more epochs."""

from collections.abc import Iterable, Mapping, Sequence

from growsearch.searches.ledger import SearchTrial
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import History
from growsearch.trial.rates import rates
from growsearch.trial.status import Status

_LEFT = (Status.STOPPED, Status.DIVERGED, Status.FAILED)
"""Final states of trials whose configurations are not extended."""


def longer(trials: Iterable[SearchTrial], horizons: Sequence[int]) -> dict[TrialConfig, str]:
    """The trials with more epochs that are new, each with the name of one that it goes on from.

    Each configuration of `trials`, but for its epochs, gets each of the `horizons` that is longer
    than the longest it has had. What a trial was given stays: growth epochs in shares move with the
    horizon, and so do the defaults of other options; growth epochs in numbers stay where they are.
    Configurations whose trials were stopped, diverged or failed are left out. Raises InputError if
    no trial is new.
    """
    every = list(trials)
    longest: dict[tuple[object, ...], SearchTrial] = {}
    for trial in every:
        if trial.status in _LEFT:
            continue
        given = {name: value for name, value in trial.asked.given.items() if name != "epochs"}
        same = tuple(sorted(given.items()))
        if same not in longest or longest[same].config.epochs < trial.config.epochs:
            longest[same] = trial
    known = {trial.config for trial in every}
    new: dict[TrialConfig, str] = {}
    for horizon in sorted(set(horizons)):
        for trial in longest.values():
            config = trial.asked.replaced(epochs=horizon)
            if horizon > trial.config.epochs and config not in known:
                new.setdefault(config, trial.name)
    if not new:
        had = max((trial.config.epochs for trial in longest.values()), default=0)
        numbers = " ".join(map(str, horizons))
        why = f"the trials have up to {had} epochs; give more" if had else "no trial has ended well"
        raise InputError(f"extend_horizon={numbers} adds no trial: {why}")
    return new


def own_rates(
    new: Mapping[TrialConfig, str], trials: Mapping[str, SearchTrial],
    histories: Mapping[str, History],
) -> list[TrialConfig]:  # fmt: skip
    """The `new` trials whose rates differ before half of the shorter trial is over.

    `new` is what `longer` has returned. They share no more with it, whatever they grow to.
    """
    return [
        config
        for config, name in new.items()
        if 2 * _same_rates(config, trials[name].config, histories.get(name, History()))
        < trials[name].config.epochs
    ]


def _same_rates(new: TrialConfig, old: TrialConfig, history: History) -> float:
    """After how many epochs of `history`, which `old` has trained, the rates differ."""
    for k, record in enumerate(history):
        before = History(history[:k])
        if rates(new, before, record.phase) != rates(old, before, record.phase):
            return k
    return float(old.epochs)
