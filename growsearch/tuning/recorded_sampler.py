"""Optuna's samplers over the configurations of a recorded study, which are all that they can draw.

Optuna has no list of configurations, but a space. Here the space is a tree of choices: the fields
in which the configurations differ, one after the other, each with the values that it has among the
configurations that the choices so far leave. So each leaf is a recorded trial. Fields of equal
values in several places are one parameter of Optuna's. NSGA-II recombines what all trials draw; the
rest is random. TPE models every parameter by itself.
"""

import math
import random
import warnings
from collections.abc import Mapping, Sequence

import optuna
from optuna.trial import TrialState

from growsearch.searches.kinds import Sampler
from growsearch.stopping.hypervolume import Outcome
from growsearch.trial.config import TrialConfig
from growsearch.trial.status import Status
from growsearch.tuning.made_sampler import STATES, made_sampler

STARTUP = 10
"""Random trials at the beginning, and NSGA-II's population, as in a search."""
REPEATS = 3
"""Number of suggestions in a row of trials that were drawn before, after which a random one is
taken."""


class RecordedSampler:
    """Draws each of `configs`, by name, once. Costs and errors are minimised.

    A suggestion that was drawn before is told again what it came to, if that is known, as a
    search does whose store has all of its epochs: it costs nothing.
    """

    def __init__(self, configs: Mapping[str, TrialConfig], sampler: Sampler, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.left = dict.fromkeys(configs)
        flat = {name: config.to_flat() for name, config in configs.items()}
        first = next(iter(flat.values()))
        fields = [f for f in first if len({_text(values[f]) for values in flat.values()}) > 1]
        self.leaves = {name: {f: _text(values[f]) for f in fields} for name, values in flat.items()}
        self.fields = sorted(fields, key=lambda f: len({v[f] for v in self.leaves.values()}))
        self._random = random.Random(seed)
        self._outcomes: dict[str, tuple[TrialState, Sequence[float] | None]] = {}
        self._open: dict[str, list[optuna.Trial]] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            chosen = made_sampler(sampler, seed, STARTUP)
        self.study = optuna.create_study(sampler=chosen, directions=["minimize", "minimize"])

    def draw(self) -> str | None:
        """The name of a trial that was not drawn before; None if all were."""
        if not self.left:
            return None
        name = self._new() or self._random.choice(list(self.left))
        del self.left[name]
        return name

    def _new(self) -> str | None:
        for _ in range(REPEATS):
            trial = self.study.ask()
            name = self._leaf(trial)
            if name in self.left:
                self._open[name] = [trial]
                return name
            if name in self._outcomes:
                state, values = self._outcomes[name]
                self.study.tell(trial, values, state)
            else:
                self._open.setdefault(name, []).append(trial)
        return None

    def tell(self, name: str, status: Status, outcome: Outcome | None) -> None:
        """Takes note that the trial has ended; a completed one has a cost and an accuracy."""
        state, values = STATES[status], None
        if state is TrialState.COMPLETE and outcome is not None:
            values = [math.log10(outcome[0]), -outcome[1]]
        self._outcomes[name] = state, values
        for trial in self._open.pop(name, []):
            self.study.tell(trial, values, state)

    def _leaf(self, trial: optuna.Trial) -> str:
        names = list(self.leaves)
        for field in self.fields:
            values = sorted({self.leaves[name][field] for name in names})
            if len(values) > 1:
                value = trial.suggest_categorical(f"{field} of {' | '.join(values)}", values)
                names = [name for name in names if self.leaves[name][field] == value]
        return names[0]


def _text(value: object) -> str:
    return str(value)
