"""Tune's schedulers that stop trials, over a ledger, without Ray."""

import random
from types import SimpleNamespace

import pytest
from conftest import record

from growsearch.search.ledger import REMEMBERED, Ledger
from growsearch.search.settings import SearchSettings
from growsearch.stopping.judge import STOPPED
from growsearch.study.results import create_study
from growsearch.trial.config import TrialConfig
from growsearch.tuning.schedulers import scheduler_of

TRIALS, EPOCHS = 12, 30


def curves():
    draw = random.Random(0)
    heights = [draw.uniform(50, 100) for _ in range(TRIALS)]
    return [
        [height * epoch / (epoch + 3) + draw.gauss(0, 1) for epoch in range(1, EPOCHS + 1)]
        for height in heights
    ]


def decided(folder, options, kill_every=None):
    """Which trial stops after which epoch; three run at a time, as in Tune's controller."""
    create_study(folder, command="search")
    ledger, accuracies, stops, results = Ledger(folder), curves(), [], 0
    for seed in range(TRIALS):
        ledger.add(TrialConfig(policy="none", epochs=EPOCHS, seed=seed))
    scheduler = scheduler_of(SimpleNamespace(ledger=ledger), options, None)
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
                scheduler = scheduler_of(SimpleNamespace(ledger=ledger), options, None)
            epoch = len(ledger.trials[name].history) + 1
            status = "completed" if epoch == EPOCHS else "running"
            accuracy = accuracies[int(name)][epoch - 1]
            result = vars(record(epoch, val_accuracy=accuracy, status=status))
            trial = SimpleNamespace(config={"name": name}, trial_id=f"{name}-{random.random()}")
            ledger.enter(name, result | {REMEMBERED: []})
            if status == "running":
                if scheduler.on_trial_result(None, trial, result) != scheduler.STOP:
                    continue
                stops.append((name, epoch))
                ledger.leave(name, STOPPED, "by Tune's scheduler")
            scheduler.on_trial_complete(None, trial, result)
            running.remove(name)
    return stops


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["asha", "median"])
@pytest.mark.parametrize("kill_every", [1, 7, 40])
def test_after_kills_they_stop_whom_they_would_have(tmp_path, scheduler, kill_every):
    options = SearchSettings(scheduler=scheduler)
    undisturbed = decided(tmp_path / "one", options)
    assert 3 <= len(undisturbed) < TRIALS
    assert decided(tmp_path / "other", options, kill_every) == undisturbed
