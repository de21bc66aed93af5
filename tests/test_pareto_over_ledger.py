"""The scheduler and its ledger on recorded trials, without Ray."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from conftest import recorded

from growsearch.searches.ledger import Ledger
from growsearch.searches.messages import Report
from growsearch.stopping.judge import ParetoStopping
from growsearch.study.folder import create_study
from growsearch.trial.status import Status
from growsearch.tuning.budget import Budget
from growsearch.tuning.pareto_over_ledger import ParetoOverLedger

WORKERS = 3


@pytest.fixture(scope="module")
def trials():
    trials = recorded("reproduced/lipgrow-figure4-small")
    return sorted((t for t in trials if t[0].seed < 3), key=lambda trial: trial[0].seed)


def decisions(trials, folder, kill_after=()):
    """How each trial leaves, in order; the driver is killed after each number in `kill_after`."""
    create_study(folder, command="search")
    ledger = Ledger(folder)
    for config, _ in trials:
        ledger.add(config)
    scheduler = ParetoOverLedger(ledger, ParetoStopping(alpha=0.2, audit=0.3, racing=2))
    waiting, running, left, results = list(ledger.trials), [], [], 0
    while True:
        while len(running) < WORKERS:
            resting = [trial.name for trial in ledger.with_status(Status.PAUSED)]
            name = waiting.pop(0) if waiting else scheduler.judge.next_to_resume(resting)
            if name is None:
                break
            ledger.start(name)
            running.append(name)
        if not running:
            return left, scheduler.judge
        for name in list(running):
            if results in kill_after:
                with (folder / "search.jsonl").open("a") as file:
                    file.write('{"trial": "0')  # an incomplete line
                ledger = Ledger.read(folder)
                judge = ParetoStopping(alpha=0.2, audit=0.3, racing=2)
                scheduler = ParetoOverLedger(ledger, judge)
                assert {t.name for t in ledger.with_status(Status.RUNNING, Status.WAITING)} <= {
                    *running,
                    *waiting,
                }
                for other in running:
                    ledger.start(other)
            results += 1
            trial, history = ledger.trials[name], trials[int(name)][1]
            record = history[len(trial.history)]
            values = {k: v.tolist() if hasattr(v, "tolist") else v for k, v in vars(record).items()}
            report = Report(record=replace(record, **values))
            result = report.to_dict() | {"config": {"name": name}}
            tunes = SimpleNamespace(config={"name": name})
            Budget(ledger, None)(name, result)
            if trial.status.ended:
                scheduler.on_trial_complete(None, tunes, result)
            elif scheduler.on_trial_result(None, tunes, result) == scheduler.CONTINUE:
                continue
            running.remove(name)
            left.append((name, record.epoch, trial.status, trial.reason))


@pytest.mark.slow
def test_a_killed_driver_decides_as_if_it_had_not_been(trials, tmp_path):
    undisturbed, judge = decisions(trials, tmp_path / "undisturbed")
    kills = range(5, 1000, 50)
    killed, again = decisions(trials, tmp_path / "killed", kill_after=kills)
    assert killed == undisturbed
    assert {status for *_, status, _ in undisturbed} == {"completed", Status.STOPPED, Status.PAUSED}
    assert again.safe.judged == judge.safe.judged > 0
    assert again.safe.false_stops == judge.safe.false_stops
    assert again.safe.front.members == judge.safe.front.members
