"""Population based training of learning rate and weight decay (Jaderberg et al. 2017)."""

import random
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from growsearch.searches.kinds import Queue
from growsearch.searches.messages import Assignment, trial_name
from growsearch.trial.optimizer_changes import CHANGEABLE, Change, parse_change, value_after
from growsearch.trial.status import Status
from growsearch.tuning.ray_private import Population

FACTORS = (0.8, 1.2)


class PopulationBased(Population):
    """Tune's population based training, in which an exploit starts a new trial.

    Every `interval` epochs, trials of the worst quarter end. For each of them a new trial joins the
    search. It has all epochs so far of a trial of the best quarter, which come from the store. In
    later epochs the learning rate and the weight decay are each multiplied by one of FACTORS. So a
    trial does what its configuration says, and gives the same records when it is trained alone.

    The trials of the population take turns of one interval.
    """

    def __init__(self, queue: Queue, *, interval: int, **metric: Any) -> None:
        super().__init__(perturbation_interval=interval, custom_explore_fn=dict, **metric)
        self.queue, self.ledger = queue, queue.ledger

    def on_trial_add(self, controller: Any, trial: Trial) -> None:
        super().on_trial_add(controller, trial)
        config = self.ledger.trials[trial_name(trial.config)].config
        joined = [parse_change(change).epoch for change in config.optimizer_changes or ()]
        known = Assignment.from_dict(trial.config).known
        self.start_interval(trial, max(*joined, known, 0))

    def on_trial_result(self, controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        decision: str = super().on_trial_result(controller, trial, result)
        entry = self.ledger.trials[trial_name(trial.config)]
        if entry.status is Status.STOPPED:
            return TrialScheduler.STOP
        if decision == TrialScheduler.PAUSE:
            reason = "while others of the population take their turn"
            self.ledger.leave(entry.name, Status.PAUSED, reason)
        return decision

    def replace_trial(self, trial: Trial, better: list[Trial]) -> None:
        worse = self.ledger.trials[trial_name(trial.config)]
        draw = random.Random(f"{worse.config.seed}/{worse.name}/{len(worse.history)}")
        copied = self.ledger.trials[trial_name(draw.choice(better).config)]
        config, epoch = copied.config, len(copied.history.trained)
        changes = []
        for name in CHANGEABLE:
            now = value_after(epoch, name, getattr(config, name), config.optimizer_changes)
            if now > 0:
                changes.append(Change(epoch, name, float(f"{draw.choice(FACTORS) * now:.6g}")))
        every = (*(config.optimizer_changes or ()), *map(str, changes))
        new = self.queue.join(config.replaced(optimizer_changes=every))
        values = ", ".join(f"{change.name} {change.value:.4g}" for change in changes)
        reason = f"for trial {new}, which goes on from trial {copied.name} with {values}"
        self.ledger.leave(worse.name, Status.STOPPED, reason)
