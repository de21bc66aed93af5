"""The trials of a search: those that were drawn, and those that follow from how they ended."""

import copy
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from ray.tune.experiment import Experiment, Trial
from ray.tune.search.basic_variant import BasicVariantGenerator

from growsearch.baselines import from_scratch
from growsearch.config import TrialConfig
from growsearch.history import EpochRecord, History
from growsearch.tuning.sharing import Follower

_RECORD_FIELDS = [f.name for f in fields(EpochRecord)]


class TrialQueue(BasicVariantGenerator):
    """Tune's own generator of trials, given one configuration at a time.

    With `from_scratch`, each network that a completed trial has grown to joins the queue as a trial
    from scratch, once. With `options["store"]`, a trial waits, without an actor, while a running
    one trains epochs that it would train as well; it takes over if that one dies. Nothing waits
    for a trial that waits, so something always runs.
    """

    def __init__(
        self, drawn: Iterable[TrialConfig], max_concurrent: int | None = None,
        from_scratch: bool = False, options: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(max_concurrent=max_concurrent or 0)
        self.waiting = list(drawn)
        self.from_scratch = from_scratch
        self.options = options or {}
        self.known = {config.digest for config in self.waiting}
        self.running: dict[str, TrialConfig] = {}
        self.histories: dict[str, History] = {}
        self.followers: dict[tuple[str, str], Follower] = {}

    def add_configurations(self, experiments: Any) -> None:
        """Tune's experiment, of which each trial is one."""
        self.experiment: Experiment = experiments[0]

    @property
    def total_samples(self) -> int:
        return len(self.waiting) + self._total_samples

    def is_finished(self) -> bool:
        return not self.waiting

    def next_trial(self) -> Trial | None:
        config = next((c for c in self.waiting if not self._must_wait(c)), None)
        if config is None:
            return None
        if self.max_concurrent and len(self.running) >= self.max_concurrent:
            return None
        experiment = copy.copy(self.experiment)
        trial_config = {"trial": config.to_flat(), **self.options}
        experiment.spec = {**self.experiment.spec, "config": trial_config}
        super().add_configurations([experiment])
        self._trial_iter = None  # its list was shorter
        trial = super().next_trial()
        assert trial is not None
        self.waiting.remove(config)
        self.running[trial.trial_id] = config
        self.histories[trial.trial_id] = History()
        return trial

    def _must_wait(self, config: TrialConfig) -> bool:
        if "store" not in self.options:
            return False
        return any(self._follows(config, trial_id) for trial_id in self.running)

    def _follows(self, config: TrialConfig, trial_id: str) -> bool:
        pair = (config.digest, trial_id)
        if pair not in self.followers:
            self.followers[pair] = Follower(config, self.running[trial_id])
        return self.followers[pair].update(self.histories[trial_id])

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        record = EpochRecord(**{name: result[name] for name in _RECORD_FIELDS})
        self.histories[trial_id] = self.histories[trial_id].plus(record)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        super().on_trial_complete(trial_id, result, error)
        config = self.running.pop(trial_id, None)
        self.histories.pop(trial_id, None)
        self.followers = {pair: f for pair, f in self.followers.items() if pair[1] != trial_id}
        completed = result is not None and result.get("status") == "completed" and not error
        if not (completed and config and self.from_scratch and config.policy != "none"):
            return
        assert result is not None
        scratch = from_scratch(config, result["architecture"])
        if scratch.digest not in self.known:
            self.known.add(scratch.digest)
            self.waiting.append(scratch)
