"""Trials drawn by Optuna, whose samplers learn from ended trials where the front lies."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import RandomSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from growsearch.searches.kinds import Sampler
from growsearch.stopping.cost import costs, metric_of, search_metric
from growsearch.trial.components import component, components
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import NUMBERS, OWN
from growsearch.trial.options import suggestion
from growsearch.trial.status import Status
from growsearch.tuning.made_sampler import STATES, made_sampler
from growsearch.tuning.optuna_storage import opened_study, read_from, written_to
from growsearch.tuning.ranges import Range, range_of
from growsearch.tuning.ray_private import Categorical, Domain, Function
from growsearch.tuning.search_space import Space, searched_fields

EXAMPLES = 32
"""Number of configurations drawn from each space to check it."""

_NAME, _SEARCH = "name", "search"
_REFUSED = "refused"
"""User attributes in Optuna's study: a trial's name here; the study's spaces and objectives."""


class ParetoOptunaSearch:
    """Suggests trials of low costs and high accuracy; the samplers learn from ended trials.

    `costs` are columns of results, and `accuracy` is a metric by its name.

    A suggestion is a point of one of `spaces` (see search_space.py) and a valid TrialConfig. With
    several spaces, Optuna's parameter "space" is the index of the suggestion's space. A field is
    one parameter if all spaces that search it draw it in the same way; otherwise each space has its
    own, such as "1.window" for space 1. Optuna has no grid: the points of a tune.grid_search become
    a choice. Two suggestions may be equal.

    The first `startup_trials` are random; for NSGA-II the number is also the population size.

    With `storage`, a file, the study outlives the search. `optuna-dashboard sqlite:///FILE` shows
    it. A later search of the same spaces continues it; two searches must not use it at once. Trials
    that did not end in the earlier search are then in `running`: `suggest` repeats them, and `tell`
    ends them. Without `storage`, the same seed and calls give the same suggestions.

    Raises InputError for an unknown sampler or objective, a number out of range, a storage that
    cannot be opened or belongs to another search, or a space that Optuna cannot search. It is also
    raised if one of the `examples`, drawn at random from each space, breaks a rule between fields.
    """

    def __init__(
        self,
        spaces: Sequence[Space],
        sampler: str | Sampler = "tpe",
        *,
        costs: Sequence[str] = ("ppe",),
        accuracy: str = "val_accuracy",
        seed: int = 0,
        startup_trials: int = 10,
        storage: str | Path | None = None,
        study_name: str = "growsearch",
    ) -> None:
        chosen = sampler
        if isinstance(chosen, str):
            chosen = cast(Sampler, component("sampler", chosen)())
        if accuracy in components("metric"):  # before the space is looked at
            _check([*costs, metric_of(accuracy).column], seed, startup_trials)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._spaces = _optuna_spaces(spaces)
        self.examples = _examples(self._spaces, seed)
        metric = search_metric(accuracy, self.examples)
        self.objectives = [*costs, metric.column]
        _check(self.objectives, seed, startup_trials)
        better = StudyDirection.MINIMIZE if metric.minimized else StudyDirection.MAXIMIZE
        directions = [*[StudyDirection.MINIMIZE] * len(costs), better]
        self.configs: dict[str, TrialConfig] = {}
        """The suggested trials, by name."""
        self._numbers: dict[str, int] = {}
        self._ended: set[str] = set()
        self._refused = 0
        """How many suggestions broke a rule."""
        self._storage = storage
        with read_from(storage):
            self.study = opened_study(storage, study_name, directions)
            self._take_over(self.study.get_trials())
            if self.study.directions != directions:
                raise ValueError("its study does not say what to minimize")
        self._chosen, self._search_seed, self._startup_trials = chosen, seed, startup_trials
        self._renew_sampler()

    def _renew_sampler(self) -> None:
        """Makes the sampler of the next trial.

        What it draws depends on the seed, the trials so far, and how many they are, so that a
        resumed search draws what an undisturbed one does.
        """
        number = len(self.configs) + self._refused
        (state,) = np.random.SeedSequence((self._search_seed, number)).generate_state(1)
        self.study.sampler = made_sampler(self._chosen, int(state), self._startup_trials)

    @property
    def running(self) -> list[str]:
        """Names of the suggested trials that have not ended; paused trials are included."""
        return [name for name in self.configs if name not in self._ended]

    def suggest(self, trial_id: str) -> dict[str, Any]:
        """The fields of the trial with this name; a name that is not known gets a new trial.

        Raises InputError if the new trial breaks a rule; Optuna records this trial as failed.
        """
        if trial_id not in self.configs:
            with written_to(self._storage):
                self._add(trial_id)
        return self.configs[trial_id].to_flat()

    def _add(self, trial_id: str) -> None:
        self._renew_sampler()
        trial = self.study.ask()
        try:
            config = TrialConfig.from_flat(self._fields(trial))
        except Exception:
            self._refused += 1
            trial.set_user_attr(_REFUSED, True)
            self.study.tell(trial, state=TrialState.FAIL)
            raise
        # The name is stored last, so a trial with a name has all its parameters.
        trial.set_user_attr(_NAME, trial_id)
        self.configs[trial_id], self._numbers[trial_id] = config, trial.number

    def tell(self, trial_id: str, status: str, result: Mapping[str, Any] | None = None) -> None:
        """Record how a trial ended, a Status.

        Only a completed trial has objectives, taken from its last `result`; if one is missing or
        not finite, the trial is recorded as failed. Calls after the trial's end have no effect.
        """
        if trial_id in self._ended:
            return
        state, values = STATES[Status(status)], None
        if state is TrialState.COMPLETE:
            values = _values(self.objectives, result or {})
            state = state if values else TrialState.FAIL
        with written_to(self._storage):
            self.study.tell(self._numbers[trial_id], values, state)
        self._ended.add(trial_id)

    def _fields(self, trial: Trial | FrozenTrial) -> dict[str, Any]:
        """The fields of an Optuna trial; a new trial draws its parameters here."""
        indices = range(len(self._spaces))
        index = trial.suggest_categorical("space", indices) if len(indices) > 1 else 0
        return _point(self._spaces[index], trial)

    def _take_over(self, trials: list[FrozenTrial]) -> None:
        """Continue from the trials of an earlier search.

        Raises InputError if that search had other spaces or objectives.
        """
        search = {"objectives": self.objectives, "spaces": [repr(s) for s in self._spaces]}
        found = self.study.user_attrs.get(_SEARCH)
        if found is None and not trials:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                self.study.set_metric_names(self.objectives)
            self.study.set_user_attr(_SEARCH, search)
        elif found != search:
            raise InputError(
                f"study {self.study.study_name!r} in its storage has other spaces, costs or metric "
                f"({', '.join((found or {}).get('objectives', []))[:100]}); give those again, or "
                "another storage"
            )
        for trial in trials:
            name = trial.user_attrs.get(_NAME)
            if name is not None:
                config = TrialConfig.from_flat(self._fields(trial))
                self.configs[name], self._numbers[name] = config, trial.number
                if trial.state.is_finished():
                    self._ended.add(name)
            elif _REFUSED in trial.user_attrs:
                self._refused += 1
            elif trial.state is TrialState.RUNNING:  # the process was killed during `suggest`
                self.study.tell(trial.number, state=TrialState.FAIL)


@dataclass(frozen=True)
class _Parameter:
    """A searched field: Optuna's parameter, and how its value becomes the field's value."""

    name: str
    distribution: CategoricalDistribution | FloatDistribution | IntDistribution
    values: dict[Any, Any] | None = None
    """For a choice: Optuna's value -> the field's value."""
    q: float | None = None
    """The field's value is rounded to a multiple of q."""

    def suggest(self, trial: Trial | FrozenTrial) -> Any:
        drawn = self.distribution
        if isinstance(drawn, CategoricalDistribution):
            assert self.values is not None
            return self.values[trial.suggest_categorical(self.name, drawn.choices)]
        value: float
        if isinstance(drawn, IntDistribution):
            value = trial.suggest_int(
                self.name, drawn.low, drawn.high, step=drawn.step, log=drawn.log
            )
        else:
            value = trial.suggest_float(
                self.name, drawn.low, drawn.high, step=drawn.step, log=drawn.log
            )
        return value if self.q is None else round(value / self.q) * self.q


def _point(space: dict[str, Any], trial: Trial | FrozenTrial) -> dict[str, Any]:
    return {
        name: value.suggest(trial) if isinstance(value, _Parameter) else value
        for name, value in space.items()
    }


def _examples(spaces: list[dict[str, Any]], seed: int) -> list[TrialConfig]:
    study = optuna.create_study(sampler=RandomSampler(seed))
    return [
        TrialConfig.from_flat(_point(space, study.ask()))
        for space in spaces
        for _ in range(EXAMPLES)
    ]


def _optuna_spaces(spaces: Sequence[Space]) -> list[dict[str, Any]]:
    """The spaces with a _Parameter for each Domain; equal names always have equal distributions."""
    names = searched_fields(list(spaces))
    if not names:
        raise InputError("the search space has nothing to search; use tune.uniform or tune.choice")
    converted = [{name: _converted(name, v) for name, v in space.items()} for space in spaces]
    for name in names:
        uses = [space[name] for space in converted if isinstance(space.get(name), _Parameter)]
        if any(use != uses[0] for use in uses):
            for index, space in enumerate(converted):
                if isinstance(space.get(name), _Parameter):
                    space[name] = replace(space[name], name=f"{index}.{name}")
    return converted


def _converted(name: str, values: Any) -> Any:
    """The _Parameter for a Domain or a grid; other values unchanged."""
    if isinstance(values, dict) and set(values) == {"grid_search"}:
        values = Categorical(values["grid_search"])
    if not isinstance(values, Domain):
        return values
    if isinstance(values, Categorical):
        return _choice(name, values.categories)
    if (drawn := range_of(values)) is not None:
        return _numbers(name, drawn)
    drawn_by = "tune.sample_from" if isinstance(values, Function) else "tune.randn"
    raise InputError(
        f"{name} is drawn by {drawn_by}, which Optuna cannot search; give it a range or a choice, "
        "or write a list of spaces, one for each case"
    )


def _choice(name: str, values: list[Any]) -> _Parameter:
    """A choice; Optuna accepts only plain values, so lists and others are named by their repr."""
    plain = bool | int | float | str | None
    named = {value if isinstance(value, plain) else repr(value): value for value in values}
    return _Parameter(name, CategoricalDistribution(tuple(named)), named)


def _numbers(name: str, drawn: Range) -> _Parameter:
    kind: Any = IntDistribution if drawn.whole else FloatDistribution
    if drawn.log:  # Optuna has no steps on a log scale
        return _Parameter(name, kind(*drawn.ends, log=True), q=drawn.step)
    step = {"step": drawn.step} if drawn.step else {}
    return _Parameter(name, kind(*drawn.ends, **step))


def _check(objectives: list[str], seed: int, startup_trials: int) -> None:
    # Test metrics are recorded but must not steer a search.
    known = [name for name in NUMBERS if not name.startswith("test_")]
    known += [cost.result() for cost in costs().values() if cost.result() not in known]
    for name in objectives:
        if name not in known and not name.startswith(OWN):
            raise InputError(f"unknown objective {name!r}{suggestion(name, known)}")
    if len(set(objectives)) < max(len(objectives), 2):
        raise InputError(
            f"objectives {' '.join(objectives)} must be at least two different ones; give a cost "
            "and an accuracy"
        )
    if seed < 0:
        raise InputError(f"search_seed must be at least 0, but got {seed}")
    if startup_trials < 2:
        raise InputError(f"startup_trials must be at least 2, but got {startup_trials}")


def _values(names: list[str], result: Mapping[str, Any]) -> list[float] | None:
    """The values of `names` in `result`, or None if one is missing or not finite."""
    values = [result.get(name) for name in names]
    finite = [float(value) for value in values if value is not None and math.isfinite(value)]
    return finite if len(finite) == len(names) else None
