"""The trials of a search: those that were drawn, and those that follow from how they ended."""

import copy
import time
from collections.abc import Iterable
from typing import Any

from ray.tune.experiment import Experiment, Trial
from ray.tune.search.basic_variant import BasicVariantGenerator

from growsearch.baselines import from_scratch
from growsearch.config import TrialConfig
from growsearch.epoch_store import EpochStore
from growsearch.history import History, record_among
from growsearch.tuning.awaited import AWAITS, Awaited
from growsearch.tuning.sharing import Follower


class TrialQueue(BasicVariantGenerator):
    """Tune's own generator of trials, given one configuration at a time.

    With `from_scratch`, each network that a completed trial has grown to joins the queue as a trial
    from scratch, once. With `options["store"]`, a trial waits, without an actor, while a running
    one trains epochs that it would train as well; it takes over if that one dies. So does a trial
    whose next epoch another search trains, and others may wait for it. Nothing waits for a trial
    that waits for one of this search, so something always runs, here or there.
    """

    def __init__(
        self, drawn: Iterable[TrialConfig], max_concurrent: int | None = None,
        from_scratch: bool = False, options: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(max_concurrent=max_concurrent or 0)
        self.waiting = list(drawn)
        self.from_scratch = from_scratch
        self.options = options or {}
        self.store: EpochStore | None = None
        if "store" in self.options:
            self.store = EpochStore(self.options["store"], self.options["owner"])
        self.known = {config.digest for config in self.waiting}
        self.running: dict[str, TrialConfig] = {}
        self.awaited: dict[str, Awaited] = {}
        self.returned = 0
        """Trials that have come back to wait; they start again as others for Tune."""
        self.histories: dict[str, History] = {}
        self.followers: dict[tuple[str, str], Follower] = {}
        self._next_look = 0.0

    def add_configurations(self, experiments: Any) -> None:
        """Tune's experiment, of which each trial is one."""
        self.experiment: Experiment = experiments[0]

    @property
    def total_samples(self) -> int:
        return len(self.waiting) + self._total_samples - self.returned

    def is_finished(self) -> bool:
        return not self.waiting

    def next_trial(self) -> Trial | None:
        self._look_around()
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

    def _look_around(self) -> None:
        """See what other searches have trained meanwhile, at most twice a second."""
        if self.store is None or time.monotonic() < self._next_look:
            return
        for trial_id, awaited in list(self.awaited.items()):
            if awaited.update(self.store):
                self.histories[trial_id] = awaited.history
            else:
                del self.awaited[trial_id]
                self._forget(trial_id)
        self._next_look = time.monotonic() + 0.5

    def _forget(self, trial_id: str) -> None:
        """Nobody follows the trial any more."""
        self.histories.pop(trial_id, None)
        self.followers = {pair: f for pair, f in self.followers.items() if pair[1] != trial_id}

    def _must_wait(self, config: TrialConfig) -> bool:
        if self.store is None:
            return False
        leaders = self.running | {i: awaited.config for i, awaited in self.awaited.items()}
        return any(self._follows(config, i, leader) for i, leader in leaders.items())

    def _follows(self, config: TrialConfig, trial_id: str, leader: TrialConfig) -> bool:
        pair = (config.digest, trial_id)
        if pair not in self.followers:
            self.followers[pair] = Follower(config, leader)
        return self.followers[pair].update(self.histories[trial_id])

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if self.store is not None and AWAITS not in result:
            self.histories[trial_id] = self.histories[trial_id].plus(record_among(result))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        super().on_trial_complete(trial_id, result, error)
        config = self.running.pop(trial_id, None)
        if result is not None and AWAITS in result and config is not None:
            self.awaited[trial_id] = Awaited(config, self.histories[trial_id], result[AWAITS])
            self.waiting.insert(0, config)
            self.returned += 1
            return
        self._forget(trial_id)
        completed = result is not None and result.get("status") == "completed" and not error
        if not (completed and config and self.from_scratch and config.policy != "none"):
            return
        assert result is not None
        scratch = from_scratch(config, result["architecture"])
        if scratch.digest not in self.known:
            self.known.add(scratch.digest)
            self.waiting.append(scratch)
