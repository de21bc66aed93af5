"""A trial's state machine: what it has trained, what was decided, and what the next epoch is."""

from dataclasses import replace
from typing import Any

from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import (
    FINE_TUNING,
    INITIALIZING,
    TRAINING,
    EpochRecord,
    History,
    unknown_record,
)
from growsearch.trial.kinds import Decision, FineTune, Grow
from growsearch.trial.options import Role, shortened
from growsearch.trial.rates import PlannedRates, rates
from growsearch.trial.status import Status


class TrialPath:
    """A trial between two of its epochs.

    The trainer extends it by what it trains. Sharing, plans and cost bounds extend one of their own
    by epochs of other trials (`follow`) or by epochs that nobody has trained yet (`assume`).
    """

    def __init__(self, config: TrialConfig) -> None:
        self.config = config
        self.history = History()
        self.phase, self.architecture = TRAINING, config.architecture
        """Phase and architecture of the next epoch."""
        self.decision: Decision | None = None
        """What was decided after the last epoch."""
        self.ended = False

    def resume(self, history: History, phase: str, architecture: str) -> None:
        """Stand after `history`, before an epoch of `phase` and `architecture`."""
        self.history, self.phase, self.architecture = history, phase, architecture
        self.ended = bool(history) and history[-1].status is not Status.RUNNING

    def extend(self, record: EpochRecord) -> Decision | None:
        """Add the next epoch, and decide what follows it.

        The last record of `history` then says whether the network grew, and whether the trial is
        completed. A record that says that the trial has ended is the last.
        """
        self._add(record)
        decided = None if self.ended else decide(self.config, self.history)
        self._enter(decided)
        return decided

    def follow(self, record: EpochRecord) -> None:
        """Add the next epoch as another trial has recorded it. What is decided is this trial's."""
        record = replace(record, phase=self.phase, architecture=self.architecture)
        self.extend(replace(record, grew=False, status=Status.RUNNING))

    def assume(self) -> None:
        """Add an epoch whose data decide nothing: only what is certain follows it.

        Where new blocks are trained apart until data end that, it ends after one epoch.
        """
        epoch = len(self.history) + 1
        self._add(unknown_record(epoch, self.phase, self.architecture))
        certain = None if self.ended else decide(self.config, self.history, certain=True)
        self._enter(certain, assumed=True)

    def revise(self, **changes: Any) -> None:
        """Change the last record."""
        self.history = self.history.revised(**changes)

    def replace_last(self, record: EpochRecord) -> None:
        """Put `record` in the place of the last one."""
        self.history = History((*self.history[:-1], record))

    def cancel_growth(self) -> None:
        """Take back the growth that was decided after the last epoch: it cannot be done."""
        self.revise(grew=False)
        self.architecture = self.history[-1].architecture
        self._enter(None)

    def fail(self) -> None:
        """End the trial with its last epoch."""
        self.ended = True
        self.revise(status=Status.FAILED)

    def _add(self, record: EpochRecord) -> None:
        self.history = self.history.plus(record)
        self.ended = record.status is not Status.RUNNING
        if not self.ended and completes(self.config, self.history):
            self.ended = True
            self.revise(status=Status.COMPLETED)

    def _enter(self, decision: Decision | None, assumed: bool = False) -> None:
        self.decision = decision
        if isinstance(decision, Grow):
            self.architecture = str(decision.architecture)
            self.revise(grew=True)
        self.phase = next_phase(self.config, self.history, decision, assumed)

    @property
    def rates(self) -> PlannedRates:
        """The rates of the next epoch, as they are known without data."""
        return rates(self.config, self.history, self.phase)

    @property
    def parts(self) -> bool:
        """Whether trials with other `epochs` may part here, where the learning rate's end begins.

        Epochs that initialize new blocks come before.
        """
        after = self.config.lr_schedule.parts_after(self.config)
        return len(self.history.trained) == after and self.phase == TRAINING

    def next_epoch(self) -> tuple[object, ...]:
        """What the next epoch adds to the last one; equal for trials that share it."""
        grew: tuple[object, ...] | None = None
        if isinstance(self.decision, Grow):
            grew = (self.architecture, *self.config.values(Role.GROWTH).items())
        return grew, self.rates, self.phase == INITIALIZING


def decide(config: TrialConfig, history: History, certain: bool = False) -> Decision | None:
    """What the trial's policy decides after the last epoch of `history`; None is to train on.

    A policy counts the epochs that trained the whole network, and decides after those alone. With
    `certain`, only what it decides whatever the data are.
    """
    trained, policy = history.trained, config.policy
    if history[-1].phase != TRAINING or len(trained) >= config.epochs:
        return None
    decision = (policy.certain if certain else policy.decide)(config, trained)
    _check(decision, config, history[-1].architecture)
    return decision


def _check(decision: object, config: TrialConfig, present: str) -> None:
    """InputError unless the policy returned what it may."""
    policy = config.policy
    if decision is None:
        return
    if isinstance(decision, FineTune):
        if policy.finetune_epochs is None:
            raise InputError(
                f"policy {policy.name!r} decided to fine-tune, but has no finetune_epochs; give it "
                "an option of that name"
            )
        return
    if not (isinstance(decision, Grow) and isinstance(decision.architecture, Architecture)):
        raise InputError(
            f"policy {policy.name!r} decided {shortened(decision)}; return None, "
            "Grow(Architecture(...), reason) or FineTune(reason)"
        )
    if not policy.grows:
        raise InputError(
            f"policy {policy.name!r} decided to grow, but says grows = False; leave grows out"
        )
    grown, before = decision.architecture, Architecture(present)
    config.task.checked(f"policy {policy.name!r} decided to grow, and architecture", str(grown))
    if grown == before or not before.fits_in(grown):
        raise InputError(
            f"policy {policy.name!r} decided to grow from {before} to {grown}, not deeper: "
            "no sub-network may lose blocks; let at least one gain some"
        )


def next_phase(
    config: TrialConfig, history: History, decision: Decision | None, assumed: bool = False
) -> str:
    """The phase of the epoch that follows `history` and the decision at its end.

    With `assumed`, the last epoch has no numbers: a phase that its data might end is over.
    """
    if isinstance(decision, FineTune):
        return FINE_TUNING
    initializer = config.initializer
    if isinstance(decision, Grow):
        assert initializer is not None
        return INITIALIZING if initializer.is_apart(config) else TRAINING
    if history[-1].phase == INITIALIZING and initializer is not None:
        over = assumed and not initializer.apart_known
        return TRAINING if over or initializer.initialized(config, history) else INITIALIZING
    return history[-1].phase


def completes(config: TrialConfig, history: History) -> bool:
    """Whether the last epoch of `history` is the trial's last."""
    if history[-1].phase == INITIALIZING:
        return False
    tuned = sum(record.phase == FINE_TUNING for record in history)
    return tuned == config.policy.finetune_epochs or len(history.trained) == config.epochs
