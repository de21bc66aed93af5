"""The queue of a search's trials, without Ray: budgets of trials, and what a sampler draws."""

from dataclasses import dataclass

import pytest
from conftest import record
from ray.tune.experiment import Experiment

from growsearch.policies.fixed import Fixed
from growsearch.searches.ledger import Ledger
from growsearch.searches.messages import (
    ELSEWHERE,
    ActorOptions,
    AwaitedEpoch,
    Report,
    StoreAccess,
)
from growsearch.study.folder import create_study
from growsearch.trial.components import register
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.status import Status
from growsearch.tuning import trial_queue
from growsearch.tuning.budget import Budget
from growsearch.tuning.trainable import AssignedTrial
from growsearch.tuning.trial_queue import TrialQueue


def given(queue) -> list[str]:
    """The trials that the queue gives until it has none for now."""
    queue.add_configurations([Experiment("search", AssignedTrial)])
    found = []
    while (trial := queue.next_trial()) is not None:
        found.append(trial.config["name"])
    return found


def test_trials_that_a_budget_of_trials_let_begin_go_on_after_a_kill(tmp_path):
    create_study(tmp_path / "study", command="search")
    ledger = Ledger(tmp_path / "study")
    for seed in range(5):
        ledger.add(TrialConfig(policy="none", epochs=3, seed=seed))
    queue = TrialQueue(ledger, max_concurrent=9, budget=Budget(ledger, ("trials", 3)))
    begun = given(queue)
    assert begun == ["00000", "00001", "00002"]
    for name in begun:
        ledger.enter(name, Report(record=record(1, key=name)))
    ledger = Ledger.read(tmp_path / "study")
    budget = Budget(ledger, ("trials", 3))
    queue = TrialQueue(ledger, max_concurrent=9, budget=budget)
    assert not queue.is_finished() and not budget.stop_all()
    assert given(queue) == ["00000", "00001", "00002"]
    for name in begun:
        ledger.enter(name, Report(record=record(2, key=name, status="completed")))
    assert queue.is_finished() and budget.stop_all()


def test_a_trial_that_waits_for_another_search_keeps_its_place_in_a_budget_of_trials(tmp_path):
    create_study(tmp_path / "study", command="search")
    ledger = Ledger(tmp_path / "study")
    for seed in range(3):
        ledger.add(TrialConfig(policy="none", epochs=3, seed=seed))
    budget = Budget(ledger, ("trials", 1))
    queue = TrialQueue(ledger, max_concurrent=2, budget=budget)
    assert given(queue) == ["00000"]
    (tunes,) = queue.running
    result = Report(awaits=AwaitedEpoch("a key", 0)).to_dict()
    queue.on_trial_complete(tunes, result)
    assert not queue.is_finished() and not budget.stop_all()
    assert given(queue) == ["00000"]


class Sampler:
    """Draws learning rates, and every third time what cannot be; learns how trials ended."""

    def __init__(self):
        self.configs, self.told, self.draws = {}, {}, 0

    @property
    def running(self):
        return [name for name in self.configs if name not in self.told]

    def suggest(self, name):
        self.draws += 1
        if self.draws % 3 == 0:
            raise InputError("lr=-1 is below 0; raise it")
        self.configs[name] = TrialConfig(policy="none", epochs=3, lr=0.1 / self.draws)
        return self.configs[name].to_flat()

    def tell(self, name, status, result):
        self.told[name] = result


def test_a_draw_that_breaks_a_rule_is_drawn_again_and_twins_use_up_no_draw(tmp_path):
    create_study(tmp_path / "study", command="search")
    ledger = Ledger(tmp_path / "study")
    queue = TrialQueue(ledger, max_concurrent=9, sampler=Sampler(), trials=6)
    ledger.add(TrialConfig(policy="none", seed=7))  # as --from-scratch adds one
    assert len(given(queue)) == 6 and queue.is_finished()
    assert len(ledger.trials) == 7


def test_no_more_is_drawn_than_there_are_places_for(tmp_path):
    """Trials of one root wait while one of them trains what they share."""
    create_study(tmp_path / "study", command="search")
    ledger = Ledger(tmp_path / "study")
    sampler = Sampler()
    sampler.suggest = lambda name: sampler.configs.setdefault(
        name, TrialConfig(policy="fixed", epochs=9, growth_epochs=(len(sampler.configs) + 2,))
    ).to_flat()
    store = StoreAccess(place=str(tmp_path / "epochs"), owner="this search")
    queue = TrialQueue(
        ledger, max_concurrent=3, sampler=sampler, trials=7, options=ActorOptions(store=store)
    )
    assert len(given(queue)) == 1
    for _ in range(20):
        assert queue.next_trial() is None
    assert len(sampler.configs) == 3


def test_a_trial_that_ended_just_before_a_kill_is_told_with_the_costs_of_all_its_epochs(tmp_path):
    create_study(tmp_path / "study", command="search")
    ledger, sampler = Ledger(tmp_path / "study"), Sampler()
    sampler.configs[ledger.add(TrialConfig(policy="none", epochs=3)).name] = TrialConfig()
    ledger.start("00000")
    for epoch in (1, 2, 3):
        one = record(epoch, key=str(epoch), seconds=10.0, parameters=100 * epoch,
                     status="completed" if epoch == 3 else "running")  # fmt: skip
        ledger.enter("00000", Report(record=one))
    TrialQueue(Ledger.read(tmp_path / "study"), sampler=sampler, trials=1)
    assert sampler.told["00000"]["seconds"] == 30.0


def test_a_policy_that_raises_for_a_waiting_trial_ends_no_search(tmp_path, own_registry):
    """The driver asks it whether the trial follows another; its actor raises the same."""

    class Raising(Fixed):
        def decide(self, trial, history):
            if len(history) == 2:
                raise ZeroDivisionError("a fault of this policy")
            return super().decide(trial, history)

    register("policy", "raising")(dataclass(frozen=True, kw_only=True)(Raising))
    create_study(tmp_path / "study", command="search")
    ledger = Ledger(tmp_path / "study")
    first, second = (
        ledger.add(TrialConfig(policy=policy, growth_epochs=(5,), epochs=9))
        for policy in ("fixed", "raising")
    )
    store = StoreAccess(place=str(tmp_path / "epochs"), owner="this search")
    queue = TrialQueue(ledger, max_concurrent=2, options=ActorOptions(store=store))
    queue.waiting = [first.name, second.name]
    assert given(queue) == [first.name]
    for epoch in (1, 2):
        ledger.enter(first.name, Report(record=record(epoch, key=str(epoch))))
    assert given(queue) == [second.name]


def search(folder, trials: int = 4, epochs: int = 3) -> Ledger:
    create_study(folder, command="search")
    ledger = Ledger(folder)
    ledger.add_all([TrialConfig(policy="none", epochs=epochs, seed=n) for n in range(trials)])
    return ledger


def test_a_paused_trial_goes_on_though_a_budget_of_trials_admits_no_waiting_one(tmp_path):
    ledger = search(tmp_path / "study")
    budget, asked = Budget(ledger, ("trials", 2)), []

    def resume(rests):
        asked.append(rests)
        return rests[0] if rests else None

    queue = TrialQueue(ledger, max_concurrent=9, budget=budget, resume=resume)
    assert given(queue) == ["00000", "00001"]
    for tunes, status in zip(list(queue.running), ("paused", "completed"), strict=True):
        name = queue.running[tunes].name
        one = record(1, key=name, status="completed" if status == "completed" else "running")
        ledger.enter(name, Report(record=one))
        if status == "paused":
            ledger.leave(name, Status.PAUSED, "by racing")
        queue.on_trial_complete(tunes, {})
    assert not queue.is_finished()
    assert queue.next_trial().config["name"] == "00000"
    assert asked[-1] == ["00000"]


def test_a_search_ends_though_a_trial_is_left_for_another_machine_and_others_are_over_budget(
    tmp_path,
):
    ledger = search(tmp_path / "study")
    queue = TrialQueue(ledger, max_concurrent=9, budget=Budget(ledger, ("trials", 1)))
    assert given(queue) == ["00000"]
    queue.running.clear()
    ledger.leave("00000", Status.WAITING, ELSEWHERE)
    assert queue.is_finished()


def test_a_trial_that_awaits_an_epoch_as_the_budget_is_spent_stays_paused(tmp_path):
    """It was said to wait, which is a failure, and the search ended with exit code 1."""
    ledger = search(tmp_path / "study", trials=2)
    budget = Budget(ledger, ("epochs", 1))
    queue = TrialQueue(ledger, max_concurrent=9, budget=budget)
    assert given(queue) == ["00000", "00001"]
    _, second = queue.running
    ledger.enter("00000", Report(record=record(1, key="a")))
    result = Report(awaits=AwaitedEpoch("b", 0)).to_dict()
    assert budget("00001", result | {"config": {"name": "00001"}})
    queue.on_trial_complete(second, result)
    assert ledger.trials["00001"].status is Status.PAUSED


@pytest.mark.parametrize(
    ("known", "drawn", "trials", "undrawn", "more"),
    [
        (20, 20, 20, 0, 0),
        (40, 20, 20, 20, 0),  # after --extend-horizon, of which none is drawn
        (20, 0, 5, 20, 5),  # a sampler for a search that had none
        (22, 2, 5, 20, 3),  # the same, killed after two draws
        (10, 0, 20, 0, 10),  # its database is gone
        (14, 4, 20, 0, 6),  # the same, killed after four draws
        (5, 6, 20, 0, 15),  # killed while a draw joined
    ],
)
def test_a_sampler_draws_as_many_trials_as_are_left_to_draw(
    tmp_path, known, drawn, trials, undrawn, more
):
    ledger, sampler = search(tmp_path / "study", known), Sampler()
    for name in [f"{known - n:05d}" for n in range(drawn)]:
        sampler.configs[name] = TrialConfig(policy="none", seed=1)
    for trial in ledger.trials.values():
        trial.status = Status.COMPLETED
    queue = TrialQueue(ledger, max_concurrent=99, sampler=sampler, trials=trials, undrawn=undrawn)
    assert len(given(queue)) == more
    assert len(ledger.trials) == known + more


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "its process died"),
        ("Failure # 1 (occurred at 2026-11-30_08-29-39)\nThe actor died unexpectedly before "
         "finishing this task.\n\tclass_name: ResourceTrainable\n\tip: 192.0.2.2\n"
         "The actor is dead because its owner has died. Owner's node has crashed.\n",
         "its process died"),
        ("ray::f() (pid=1)\n  File 'x', line 1\n    go()\nmymod.Unstable: jumped\n",
         "mymod.Unstable: jumped"),
        ("Traceback:\n  File 'x', line 1\nValueError: first\n\nDuring handling:\n\n"
         "Traceback:\n  File 'y', line 2\nsubprocess.TimeoutExpired: second\n",
         "subprocess.TimeoutExpired: second"),
        ("Traceback:\n  File 'x', line 1\nRuntimeError: out\nCompile with TORCH for more\n",
         "RuntimeError: out"),
        ("Traceback:\n  File 'x', line 1\nKeyboardInterrupt\n", "KeyboardInterrupt"),
        ("ray::f()\n  File 'x', line 1\ngrowsearch.trial.errors.InputError: lr=-1; raise it\n",
         "lr=-1; raise it"),
    ],
)  # fmt: skip
def test_the_reason_of_a_failure_is_what_was_raised_last(monkeypatch, text, reason):
    monkeypatch.setattr(trial_queue, "error_text", lambda trial: text)
    assert trial_queue._reason(None) == (reason, reason == "lr=-1; raise it")
