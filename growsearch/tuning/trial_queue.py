"""The trials of a search: those that were drawn, and those that follow from how they ended."""

import copy
from collections.abc import Iterable
from typing import Any

from ray.tune.experiment import Experiment
from ray.tune.search.basic_variant import BasicVariantGenerator

from growsearch.baselines import from_scratch
from growsearch.config import TrialConfig, field_names

_FIELD = "config/trial/"  # how Tune flattens {"config": {"trial": {...}}}


class TrialQueue(BasicVariantGenerator):
    """Tune's own generator of listed trials; with `from_scratch`, each network that a completed
    trial has grown to joins the list as a trial from scratch, once.
    """

    def __init__(
        self, drawn: Iterable[TrialConfig], max_concurrent: int | None, from_scratch: bool
    ) -> None:
        super().__init__(max_concurrent=max_concurrent or 0)
        self.from_scratch = from_scratch
        self.known = {config.digest for config in drawn}

    def add_configurations(self, experiments: Any) -> None:
        super().add_configurations(experiments)
        self.experiment: Experiment = experiments[0]

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        super().on_trial_complete(trial_id, result, error)
        if self.from_scratch and result and result.get("status") == "completed" and not error:
            names = {name: f"{_FIELD}{name}" for name in field_names()}
            config = TrialConfig(**{name: result[key] for name, key in names.items()})
            self._follow(config, result["architecture"])

    def _follow(self, config: TrialConfig, found: str) -> None:
        if config.policy == "none":
            return
        scratch = from_scratch(config, found)
        if scratch.digest in self.known:
            return
        self.known.add(scratch.digest)
        experiment = copy.copy(self.experiment)
        experiment.spec = {**self.experiment.spec, "config": {"trial": scratch.to_flat()}}
        self.add_configurations([experiment])
        # it may have come to the end of the list already
        self._trial_iter = None
        self._finished = False
