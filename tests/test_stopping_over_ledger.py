"""Tune's schedulers that stop trials, with a ledger, without Ray."""

import random
from types import SimpleNamespace

import pytest
from conftest import record

from growsearch.searches.ledger import Ledger
from growsearch.searches.messages import AwaitedEpoch, Report
from growsearch.stopping.cost import metric_of
from growsearch.study.folder import create_study
from growsearch.trial.components import component
from growsearch.trial.config import TrialConfig
from growsearch.trial.status import Status

TRIALS, EPOCHS = 12, 30


def curves():
    draw = random.Random(0)
    heights = [draw.uniform(50, 100) for _ in range(TRIALS)]
    return [
        [height * epoch / (epoch + 3) + draw.gauss(0, 1) for epoch in range(1, EPOCHS + 1)]
        for height in heights
    ]


def tunes(name, ledger):
    made = component("scheduler", name)()
    return made.tune_scheduler(SimpleNamespace(ledger=ledger), metric_of("val_accuracy"), None)


def decided(folder, chosen, kill_every=None):
    """(trial, epoch) of each stop; three trials run at a time, as in Tune's controller."""
    create_study(folder, command="search")
    ledger, accuracies, stops, results = Ledger(folder), curves(), [], 0
    for seed in range(TRIALS):
        ledger.add(TrialConfig(policy="none", epochs=EPOCHS, seed=seed))
    scheduler = tunes(chosen, ledger)
    waiting, running = list(ledger.trials), []
    while waiting or running:
        while waiting and len(running) < 3:
            running.append(waiting.pop(0))
            ledger.start(running[-1])
        for name in list(running):
            results += 1
            if kill_every and results % kill_every == 0:
                ledger = Ledger.read(folder)
                for other in running:
                    ledger.start(other)
                scheduler = tunes(chosen, ledger)
            epoch = len(ledger.trials[name].history) + 1
            status = "completed" if epoch == EPOCHS else "running"
            accuracy = accuracies[int(name)][epoch - 1]
            report = Report(record=record(epoch, val_accuracy=accuracy, status=status))
            result = report.to_dict()
            trial = SimpleNamespace(config={"name": name}, trial_id=f"{name}-{random.random()}")
            ledger.enter(name, report)
            if status == "running":
                if scheduler.on_trial_result(None, trial, result) != scheduler.STOP:
                    continue
                stops.append((name, epoch))
                ledger.leave(name, Status.STOPPED, "by Tune's scheduler")
            scheduler.on_trial_complete(None, trial, result)
            running.remove(name)
    return stops


@pytest.mark.long
@pytest.mark.parametrize("scheduler", ["asha", "median"])
@pytest.mark.parametrize("kill_every", [1, 7, 40])
def test_after_kills_they_stop_whom_they_would_have(tmp_path, scheduler, kill_every):
    undisturbed = decided(tmp_path / "one", scheduler)
    assert 3 <= len(undisturbed) < TRIALS
    assert decided(tmp_path / "other", scheduler, kill_every) == undisturbed


def test_asha_stops_no_trial_because_it_is_long(tmp_path):
    """A sampler draws trials after the scheduler is made, and may draw long ones."""
    create_study(tmp_path / "study", command="search")
    ledger = Ledger(tmp_path / "study")
    scheduler = tunes("asha", ledger)
    name = ledger.add(TrialConfig(policy="none", epochs=200)).name
    ledger.start(name)
    trial = SimpleNamespace(config={"name": name}, trial_id=name)
    for epoch in range(1, 200):
        report = Report(record=record(epoch, val_accuracy=50.0))
        ledger.enter(name, report)
        assert scheduler.on_trial_result(None, trial, report.to_dict()) == scheduler.CONTINUE


def ledger_of(folder, accuracies) -> Ledger:
    """Trials of these accuracies by epoch, of which none has ended."""
    create_study(folder, command="search")
    ledger = Ledger(folder)
    for seed, values in enumerate(accuracies):
        name = ledger.add(TrialConfig(policy="none", epochs=EPOCHS, seed=seed)).name
        ledger.start(name)
        for epoch, accuracy in enumerate(values, 1):
            ledger.enter(name, Report(record=record(epoch, val_accuracy=accuracy)))
    return ledger


@pytest.mark.parametrize("scheduler", ["asha", "median"])
def test_a_trial_that_was_killed_when_it_was_to_stop_stops_at_its_next_result(tmp_path, scheduler):
    """Its last result is in the log, and that it stops is not; or another scheduler let it run."""
    good = [[80.0 + k for k in range(10)]] * 4
    ledger = ledger_of(tmp_path / "study", [*good, [10.0] * 10])
    (*_, worst) = ledger.trials
    trial = SimpleNamespace(config={"name": worst}, trial_id=worst)
    for epoch in (11, 12):
        found = tunes(scheduler, Ledger.read(tmp_path / "study"))
        report = Report(record=record(epoch, val_accuracy=10.0))
        found.ledger.enter(worst, report)
        assert found.on_trial_result(None, trial, report.to_dict()) == found.STOP


@pytest.mark.parametrize("scheduler", ["asha", "median"])
def test_a_trial_that_awaits_an_epoch_of_another_search_has_not_ended(tmp_path, scheduler):
    ledger = ledger_of(tmp_path / "study", [[50.0] * 6] * 3)
    found = tunes(scheduler, ledger)
    name = next(iter(ledger.trials))
    trial = SimpleNamespace(config={"name": name}, trial_id=name)
    result = Report(awaits=AwaitedEpoch("a key", 6)).to_dict()
    found.on_trial_complete(None, trial, result)
    for epoch in (7, 8):
        ledger.enter(name, Report(record=record(epoch, val_accuracy=50.0)))
        assert found.on_trial_result(None, trial, {}) == found.CONTINUE
