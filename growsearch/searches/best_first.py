"""Which trial should be trained next: the one with the largest expected gain of the front per cost.

All trials are known before any runs, and so are their costs and the epochs that they share. What
they will come to is predicted from their schedules by a Gaussian process on the completed trials;
where the first epochs of a trial are trained, by it or by another one, from their errors too.
The next trial is the one with the largest expected gain in hypervolume (Emmerich et al. 2006), over
the accuracies that it may come to at its known cost, per parameter-epochs that are still to be paid
for it: epochs that are in the store are free. The first trials are the cheapest.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from growsearch.searches.features import features
from growsearch.searches.tree import ways_of
from growsearch.stopping.cost import Cost, cost_of
from growsearch.stopping.cost_bounds import Size
from growsearch.stopping.gaussian_process import GaussianProcess
from growsearch.stopping.hypervolume import scaled_gains
from growsearch.trial.config import TrialConfig

FIRST = 4
"""Number of trials that complete, the cheapest first, before any is predicted."""
OPTIMISM = 1.5
"""By how much the predictor's deviation is taken to be larger than it says."""
MOMENTS = 32
"""Number of moments of a trial's course at which errors are compared."""
COMPARED = 8
"""Number of trials that complete before the errors of first epochs change a prediction."""
LEVELS = OPTIMISM * ndtri((np.arange(9) + 0.5) / 9)
"""The deviations at which the expectation is taken, each as likely as the others."""


class BestFirst:
    """The trials of a search by name, what each must still pay, and what it promises.

    `sizes` gives the sizes of a trial's networks, see CostBound. Trials may join later.
    """

    def __init__(self, cost: str, sizes: Callable[[TrialConfig], Size]) -> None:
        self.cost, self.unit = cost_of(cost), cost_of("param_epochs")
        self.sizes = sizes
        self.configs: dict[str, TrialConfig] = {}
        self.courses: dict[str, list[float]] = {}
        """The errors after the epochs of each trial that are trained."""
        self.errors: dict[str, float] = {}
        """The errors of the completed trials, in their order."""
        self._plan: _Plan | None = None

    def add(self, name: str, config: TrialConfig) -> None:
        """A trial joins."""
        self.configs[name] = config
        self._plan = None

    def trained(self, name: str, errors: Sequence[float]) -> None:
        """Takes note of the errors after further epochs of the trial."""
        course = self.courses.setdefault(name, [])
        if self._plan is not None:
            self._plan.trained(name, len(course), errors)
        course.extend(errors)

    def completed(self, name: str, error: float) -> None:
        """Takes note of what the trial has come to; one that diverged has no error."""
        if np.isfinite(error):
            self.errors[name] = error
            if self._plan is not None:
                self._plan.learn(name, error)

    def order(self, names: list[str]) -> list[str]:
        """The trials `names`, the best first."""
        if len(names) < 2:
            return names
        plan = self._plan = self._plan or self._planned()
        places = np.array([plan.places[name] for name in names])
        keys = [plan.costs[places]]
        if len(self.errors) >= FIRST:
            keys.append(-plan.gains(places) / plan.to_pay(places))
        return [names[i] for i in np.lexsort(keys)]

    def parts(self, name: str) -> tuple[int, ...]:
        """After how many of the trial's epochs another trial goes another way, or ends."""
        plan = self._plan = self._plan or self._planned()
        way = plan.ways[plan.places[name]]
        shared = enumerate(way.nodes[: way.known], 1)
        return tuple(epochs for epochs, node in shared if len(plan.next[node]) > 1)

    def _planned(self) -> "_Plan":
        plan = _Plan(self.configs, self.cost, self.unit, self.sizes)
        for name, errors in self.courses.items():
            plan.trained(name, 0, errors)
        for name, error in self.errors.items():
            plan.learn(name, error)
        return plan


class _Plan:
    """What is known of the trials `configs` before any runs, and what was learnt of them since."""

    def __init__(
        self, configs: Mapping[str, TrialConfig], cost: Cost, unit: Cost,
        sizes: Callable[[TrialConfig], Size],
    ) -> None:  # fmt: skip
        self.places = {name: place for place, name in enumerate(configs)}
        self.ways = ways_of(configs.values())
        pairs = [(w, sizes(c)) for w, c in zip(self.ways, configs.values(), strict=True)]
        self.costs = np.array([way.final_cost(cost, size) for way, size in pairs])
        self.ahead = [
            np.append(np.cumsum(way.prices(unit, size)[::-1])[::-1], 0.0) for way, size in pairs
        ]
        """What each trial's epochs from the k-th on cost."""
        parameters = [{a: size(a)[0] for a in way.architectures} for way, size in pairs]
        points = features(list(configs.values()), self.ways, parameters)
        self.predictor = GaussianProcess(points, MOMENTS)
        self.ends: list[tuple[float, float]] = []
        """Costs and errors of the completed trials."""
        self.next: dict[object, set[object]] = {}
        """What follows each epoch in one trial or another; None where a trial ends."""
        for way in self.ways:
            for node, following in zip(way.nodes, (*way.nodes[1:], None), strict=True):
                self.next.setdefault(node, set()).add(following)
        self._errors: dict[object, float] = {}
        """By node, the error after each epoch that is trained."""
        self._lengths = np.array([len(way.nodes) for way in self.ways])
        self._known = np.zeros(len(self.ways), dtype=int)
        """How many of each trial's epochs are trained, by whomever, as far as was asked."""

    def trained(self, name: str, begin: int, errors: Sequence[float]) -> None:
        nodes = self.ways[self.places[name]].nodes[begin:]
        self._errors.update(zip(nodes, errors, strict=False))  # data may make a trial longer

    def learn(self, name: str, error: float) -> None:
        place = self.places[name]
        self.ends.append((self.costs[place], error))
        course = [self._error_at(place, moment) for moment in range(1, MOMENTS + 1)]
        self.predictor.add(place, error, [e if np.isfinite(e) else error for e in course])

    def _error_at(self, place: int, moment: int) -> float:
        """The error at a moment of the trial's course; NaN if it is not known."""
        nodes = self.ways[place].nodes
        return self._errors.get(nodes[-(-moment * len(nodes) // MOMENTS) - 1], np.nan)

    def known(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many epochs at each trial's beginning are trained."""
        for place in places:
            nodes, known = self.ways[place].nodes, self._known[place]
            while known < len(nodes) and nodes[known] in self._errors:
                known += 1
            self._known[place] = known
        return self._known[places]

    def to_pay(self, places: NDArray[np.int64]) -> NDArray[np.float64]:
        """What each trial's epochs cost that nobody has trained; above 0."""
        known = self.known(places)
        left = np.array([self.ahead[p][k] for p, k in zip(places, known, strict=True)])
        return np.maximum(left, self.ahead[0][0] * 1e-6)

    def predicted(self, places: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Mean and deviation of the error that each trial comes to."""
        mean, deviation = self.predictor.predict(places)
        if len(self.ends) < COMPARED:
            return mean, deviation
        moments = self.known(places) * MOMENTS // self._lengths[places]
        for moment in np.unique(moments[(moments > 0) & (moments < MOMENTS)]):
            here = np.flatnonzero(moments == moment)
            found = np.array([self._error_at(place, moment) for place in places[here]])
            here, found = here[np.isfinite(found)], found[np.isfinite(found)]
            given = self.predictor.predict_given(places[here], moment - 1, found)
            mean[here], deviation[here] = given
        return mean, deviation

    def gains(self, places: NDArray[np.int64]) -> NDArray[np.float64]:
        """The expected gain in hypervolume of each trial."""
        mean, deviation = self.predicted(places)
        ends, logs = np.array(self.ends), np.log10(self.costs)
        lowest, span = logs.min(), np.ptp(logs) or 1.0
        best = ends[:, 1].min()
        points = np.ptp(ends[:, 1]) or 1.0
        front = np.column_stack(
            [(np.log10(ends[:, 0]) - lowest) / span, (ends[:, 1] - best) / points]
        )
        errors = (mean[:, None] + deviation[:, None] * LEVELS - best) / points
        costs = np.repeat((logs[places] - lowest) / span, len(LEVELS))
        return scaled_gains(costs, errors.ravel(), front).reshape(errors.shape).mean(axis=1)
