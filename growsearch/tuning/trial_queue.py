"""Decides which trial of a search starts next: a new one, or one that continues."""

import math
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ray.tune.experiment import Trial

from growsearch.epochs.store import EpochStore
from growsearch.searches.kinds import Order
from growsearch.searches.ledger import DIED, Ledger, SearchTrial
from growsearch.searches.messages import ELSEWHERE, ActorOptions, Assignment, awaited_epoch
from growsearch.searches.sharing import Follower, growth_order, root_of
from growsearch.searches.waiting import Awaited
from growsearch.stopping.cost import cost_so_far, costs
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.from_scratch import from_scratch
from growsearch.trial.history import History
from growsearch.trial.status import Status
from growsearch.tuning.budget import Budget
from growsearch.tuning.ray_private import OneTrialGenerator, error_text

if TYPE_CHECKING:
    from growsearch.tuning.optuna_search import ParetoOptunaSearch

_RAISED = re.compile(r"^[ \t]+\S.*\n((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?::.*)?)$", re.MULTILINE)
"""An exception's line in a traceback: the first that is not indented."""
_DRAWS = 100
"""How often a sampler may draw what breaks a rule, one after the other."""


class TrialQueue(OneTrialGenerator):
    """Tune's own generator of trials, given one configuration at a time.

    A trial may be several of Tune's, one after the other: whenever it has left its actor to rest,
    it starts again as another, from its newest epoch in the store. It starts again when its actor
    has failed, up to `max_failures` times, but not where its epochs would be others. With
    `from_scratch`, each network that a completed trial has grown to joins as a trial from scratch,
    once.

    A `sampler`, if given, draws trials until it has drawn `trials`, and learns how they end. Of the
    ledger's trials `undrawn` are not the sampler's, besides those from scratch.
    Trials that the scheduler has paused go on when no other can start, in the order of `resume`,
    until the `budget` is spent. If the scheduler has set `order`, this sorts both those that wait
    and those that are paused.

    If `max_concurrent` is infinite, Tune gets all trials at once, as its own schedulers that pause
    trials need.

    With a store in `options`, a trial waits, without an actor, while a running trial trains epochs
    that it needs too; if the running trial dies, the waiting one starts. A trial also waits while
    another search trains its next epoch, and other trials may wait for it. But no trial waits for
    one that itself waits for a trial of this search, so some trial always runs.
    """

    def __init__(
        self, ledger: Ledger, *, max_concurrent: float = math.inf, from_scratch: bool = False,
        max_failures: int = 0, options: ActorOptions | None = None,
        sampler: "ParetoOptunaSearch | None" = None, trials: int = 0, undrawn: int = 0,
        resume: Callable[[list[str]], str | None] | None = None, budget: Budget | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.ledger = ledger
        self.at_once = max_concurrent
        self.from_scratch = from_scratch
        self.max_failures = max_failures
        self.options = options or ActorOptions()
        self.sampler = sampler
        self.resume = resume
        self.order: Order | None = None
        self.parts: Callable[[str], tuple[int, ...]] | None = None
        self.budget = budget or Budget(ledger, None)
        access = self.options.store
        self.store = EpochStore(access.place, access.owner) if access else None
        self.waiting: list[str] = []
        self.known = {trial.config for trial in ledger.trials.values()}
        self._left_to_draw = max(trials - self._drawn(undrawn), 0)
        self._tell_all()
        for trial in list(ledger.trials.values()):
            self._follow_up(trial)
        self.waiting = [t.name for t in ledger.with_status(Status.WAITING, Status.RUNNING)]
        if self.resume is None:
            self.waiting += [t.name for t in ledger.with_status(Status.PAUSED)]
        if self.store:  # those that part later go on from what the earlier ones leave
            self.waiting.sort(key=lambda name: growth_order(ledger.trials[name].config))
        self.running: dict[str, SearchTrial] = {}
        """By Tune's name."""
        self.started: dict[str, Trial] = {}
        self.awaited: dict[str, Awaited] = {}
        """By the trial's name, like the next dict."""
        self.followers: dict[str, dict[str, Follower]] = {}
        """By the trial that leads, then by the one that waits."""
        self._roots: dict[str, int] = {}
        """By trial, a number of what its first epoch depends on."""
        self._numbers: dict[tuple[object, ...], int] = {}
        self._blocked: dict[str, tuple[str, int]] = {}
        """For each waiting trial, its leader, and how many epochs the leader had."""
        self._next_look = 0.0

    @property
    def total_samples(self) -> int:
        return len(self.waiting) + self.made

    def is_finished(self) -> bool:
        if self.budget.is_over:
            return True
        if self._may_begin() or self._to_draw():
            return False
        goes_on = self.resume is not None or self.order is not None
        return not (goes_on and self.ledger.with_status(Status.PAUSED))

    def _to_draw(self) -> int:
        return 0 if self.sampler is None or self.budget.is_spent else self._left_to_draw

    def _drawn(self, undrawn: int) -> int:
        """How many of the ledger's trials a sampler has drawn."""
        known = self.ledger.trials
        if self.sampler is not None and self.from_scratch:
            # without its database the sampler knows none
            drawn = sum(name in known for name in self.sampler.configs)
            return drawn or len(known) - undrawn
        return len(known) - undrawn

    def _may_begin(self) -> bool:
        """Whether the budget admits a trial that waits."""
        return any(self.budget.admits(self.ledger.trials[name]) for name in self.waiting)

    def next_trial(self) -> Trial | None:
        if self.budget.is_over or len(self.running) >= self.at_once:
            return None
        name = self._next_name()
        if name is None:
            return None
        trial = self.ledger.trials[name]
        started = self.make_trial(self._assignment(trial).to_dict())
        self.waiting.remove(name)
        self.running[started.trial_id] = trial
        self.budget.begin(name)
        if math.isfinite(self.at_once):  # otherwise Tune has it wait for an actor
            self.ledger.start(name)
        self.started[started.trial_id] = started
        return started

    def _assignment(self, trial: SearchTrial) -> Assignment:
        """For the trial's next actor. What "auto" stood for in its epochs so far stays."""
        config, history = trial.config, trial.history
        if history:
            compiled = "on" if history[-1].compiled else "off"
            config = config.replaced(precision=history[-1].precision, compile=compiled)
        return Assignment(
            name=trial.name,
            trial=config,
            known=len(history),
            first=history[0].key if history else None,
            options=self.options,
            parts=self.parts(trial.name) if self.parts is not None else (),
        )

    def join(self, config: TrialConfig) -> str:
        """The name of a trial that joins the search, and starts next."""
        trial = self.ledger.add(config)
        self.waiting.insert(0, trial.name)
        return trial.name

    def _next_name(self) -> str | None:
        self._look_around()
        names, leads = self.waiting, self._leads()
        if self.order is not None:
            paused = [t.name for t in self.ledger.with_status(Status.PAUSED)]
            names = list(self.order(list(dict.fromkeys([*names, *paused]))))
        trials, admits = self.ledger.trials, self.budget.admits
        for name in names:
            if admits(trials[name]) and not self._must_wait(name, leads):
                if name not in self.waiting:
                    self.waiting.append(name)
                return name
        joins = None
        if self._to_draw() > 0:
            # no more than there are places for: each is drawn from what has ended by then
            if len(self.waiting) < self.at_once - len(self.running):
                joins = self._draw()
        elif self.resume is not None and self.order is None and not self._may_begin():
            rests = [t.name for t in self.ledger.with_status(Status.PAUSED) if admits(t)]
            joins = self.resume(rests)
        if joins is None:
            return None
        self.waiting.append(joins)
        return None if self._must_wait(joins, leads) else joins

    def _draw(self) -> str:
        """The name of a new trial. Raises InputError if many draws in turn break a rule."""
        assert self.sampler is not None
        for left in reversed(range(_DRAWS)):
            try:
                drawn = self.sampler.suggest(self.ledger.next_name)
                name = self.ledger.add(TrialConfig.from_flat(drawn)).name
            except InputError:
                if not left:
                    raise
            else:
                self._left_to_draw -= 1
                return name
        raise AssertionError("the last draw is returned or raised")

    def _look_around(self) -> None:
        """Reads what other searches have trained since, at most twice a second."""
        if self.store is None or time.monotonic() < self._next_look:
            return
        for name, awaited in list(self.awaited.items()):
            try:
                waits = awaited.update(self.store)
            except Exception:  # as in _follows
                waits = False
            if not waits:
                del self.awaited[name]
                self._lead_no_more(name)
        self._next_look = time.monotonic() + 0.5

    def _lead_no_more(self, name: str) -> None:
        self.followers.pop(name, None)

    def _leads(self) -> dict[int, set[str]]:
        """By root, the trials that others may have to wait for."""
        found: dict[int, set[str]] = {}
        if self.store is not None:
            running = self.running.items()
            leads = [t.name for k, t in running if self.started[k].status != Trial.PAUSED]
            for name in (*leads, *self.awaited):
                found.setdefault(self._root(name), set()).add(name)
        return found

    def _root(self, name: str) -> int:
        if name not in self._roots:
            root = root_of(self.ledger.trials[name].config)
            self._roots[name] = self._numbers.setdefault(root, len(self._numbers))
        return self._roots[name]

    def _must_wait(self, name: str, leads: dict[int, set[str]]) -> bool:
        """Whether the trial trains the same epochs as one that leads.

        This is asked of each waiting trial at each result: only what has changed is looked at.
        """
        leaders = leads.get(self._root(name), ()) if leads else ()
        if not leaders:
            return False
        leader, epochs = self._blocked.get(name, ("", 0))
        if leader in leaders and len(self._known(leader)) == epochs:
            return True
        for leader in leaders:
            if self._follows(name, leader):
                self._blocked[name] = leader, len(self._known(leader))
                return True
        self._blocked.pop(name, None)
        return False

    def _known(self, leader: str) -> History:
        """The records of a trial that leads."""
        awaited = self.awaited.get(leader)
        return self.ledger.trials[leader].history if awaited is None else awaited.history

    def _follows(self, name: str, leader: str) -> bool:
        trials, followers = self.ledger.trials, self.followers.setdefault(leader, {})
        if name not in followers:
            followers[name] = Follower(trials[name].config, trials[leader].config)
        try:
            return followers[name].update(self._known(leader))
        except Exception:  # a user's policy may raise; the trial's own actor then says so
            followers[name].follows = False
            return False

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        super().on_trial_complete(trial_id, result, error)
        trial, tunes = self.running.pop(trial_id, None), self.started.pop(trial_id, None)
        if trial is None or tunes is None:
            return
        self._lead_no_more(trial.name)
        if error and not trial.status.ended:
            self._fail(trial, *_reason(tunes))
        # the budget may have been spent while it came to this
        awaits = awaited_epoch(result) if trial.status is not Status.PAUSED else None
        if awaits is not None:
            before = History(trial.history[: awaits.before])
            self.awaited[trial.name] = Awaited(trial.config, before, awaits.key, awaits.steps)
            self.ledger.await_epoch(trial.name)
            self.waiting.insert(0, trial.name)
        elif trial.status is Status.RUNNING or (
            tunes.status == Trial.PAUSED and not self.budget.is_spent
        ):
            self.ledger.leave(trial.name, Status.STOPPED, "by Tune's scheduler")
        self._tell(trial, trial.history)
        self._follow_up(trial)
        self.ledger.forget(trial.name)

    def _fail(self, trial: SearchTrial, reason: str, refused: bool) -> None:
        if ELSEWHERE in reason:  # nothing is lost: it goes on when the search is resumed there
            self.ledger.leave(trial.name, Status.WAITING, ELSEWHERE)
            return
        trial.failures += 1
        # what an InputError says is the same the next time
        again = trial.failures <= self.max_failures and not refused
        self.ledger.leave(trial.name, Status.WAITING if again else Status.FAILED, reason)
        if again:
            self.waiting.insert(0, trial.name)

    def _tell_all(self) -> None:
        """Tells the sampler of trials that ended just before the search was killed."""
        running = [] if self.sampler is None else self.sampler.running
        known = [self.ledger.trials[name] for name in running if name in self.ledger.trials]
        if untold := [trial for trial in known if trial.status.ended]:
            histories = self.ledger.read_histories()  # of ended trials the ledger has one record
            for trial in untold:
                self._tell(trial, histories.get(trial.name, History()))

    def _tell(self, trial: SearchTrial, history: History) -> None:
        """Tells the sampler how the trial has ended, if it has."""
        if self.sampler is None or not trial.status.ended or trial.name not in self.sampler.configs:
            return
        result: dict[str, Any] = {}
        if history:
            spent = {c.result(): cost_so_far(c, history)[-1] for c in costs().values()}
            result = history[-1].to_result() | spent
        self.sampler.tell(trial.name, trial.status, result)

    def _follow_up(self, trial: SearchTrial) -> None:
        """Adds the trial that trains a completed trial's final network from scratch."""
        if trial.status is not Status.COMPLETED or not self.from_scratch:
            return
        if not trial.config.policy.grows:
            return
        scratch = from_scratch(trial.config, trial.history[-1].architecture)
        if scratch not in self.known:
            self.known.add(scratch)
            self.waiting.append(self.ledger.add(scratch).name)


def _reason(trial: Trial) -> tuple[str, bool]:
    """Why the actor failed: what it raised, if anything; and whether that was an InputError."""
    raised = _RAISED.findall(error_text(trial) or "")
    last = str(raised[-1]) if raised else DIED
    reason = last.removeprefix(f"{InputError.__module__}.{InputError.__name__}: ")
    return reason, reason != last
