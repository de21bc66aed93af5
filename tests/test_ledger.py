import json
from types import SimpleNamespace

import pandas as pd
import pytest
from conftest import record
from ray import tune

from growsearch.searches import ledger as ledgers
from growsearch.searches.ledger import Ledger
from growsearch.searches.messages import AwaitedEpoch, Report
from growsearch.searches.settings import SearchSettings
from growsearch.stopping.cost import metric_of
from growsearch.study.folder import create_study, trial_file
from growsearch.trial.components import components
from growsearch.trial.config import TrialConfig
from growsearch.trial.status import Status
from growsearch.tuning.trainable import AssignedTrial
from growsearch.tuning.trial_queue import TrialQueue


def test_a_trial_out_of_memory_has_failed_for_good_and_the_log_says_why(tmp_path):
    """Neither this run nor a resumed one starts the trial again, although its actor lives on."""
    (tmp_path / "trials").mkdir()
    ledger = Ledger(tmp_path)
    name = ledger.add(TrialConfig()).name
    ledger.start(name)
    reason = "out of memory at growth to 8-8-8"
    last = record(2, status="failed")
    ledger.enter(name, Report(record=last, remembered=(record(1),), reason=reason))
    for known in (ledger, Ledger.read(tmp_path)):
        trial = known.trials[name]
        assert (trial.status, trial.reason, trial.status.ended) == ("failed", reason, True)
        assert trial.history[-1] == last


def test_so_has_one_whose_last_epoch_was_known_before_memory_ran_out(tmp_path):
    (tmp_path / "trials").mkdir()
    ledger = Ledger(tmp_path)
    name = ledger.add(TrialConfig()).name
    ledger.start(name)
    ledger.enter(name, Report(record=record(1)))
    reason = "out of memory at growth to 8-8-8"
    ledger.enter(name, Report(record=record(1, status="failed"), reason=reason))
    for known in (ledger, Ledger.read(tmp_path)):
        trial = known.trials[name]
        assert (trial.status, trial.reason, len(trial.history)) == ("failed", reason, 1)
        assert (trial.history[-1].status, known.paid["epochs"]) == ("failed", 1)


def test_a_trial_that_awaits_an_epoch_has_not_ended_and_the_log_says_no_more_than_its_epochs(
    tmp_path,
):
    (tmp_path / "trials").mkdir()
    ledger = Ledger(tmp_path)
    name = ledger.add(TrialConfig()).name
    ledger.start(name)
    report = Report(awaits=AwaitedEpoch("a key", 1), remembered=(record(1),))
    trial = ledger.enter(name, report)
    lines = (tmp_path / "search.jsonl").read_text()
    ledger.await_epoch(name)
    assert (trial.status, trial.status.ended, len(trial.history)) == ("waiting", False, 1)
    assert (tmp_path / "search.jsonl").read_text() == lines
    known = Ledger.read(tmp_path).trials[name]
    assert (known.status, known.history) == ("running", trial.history)


@pytest.mark.parametrize("since", ["it runs", "its process died", "it awaits an epoch"])
def test_the_tables_have_all_results_when_a_search_ends(tmp_path, since):
    """A table is written at most every few seconds; a signal may end the search before."""
    (tmp_path / "trials").mkdir()
    ledger = Ledger(tmp_path)
    ledger.add_all([TrialConfig(epochs=4), TrialConfig(epochs=5)])
    ledger.start("00000")
    for epoch in (1, 2):
        ledger.enter("00000", Report(record=record(epoch)))
    if since == "its process died":
        ledger.leave("00000", Status.WAITING, since)
    elif since == "it awaits an epoch":
        ledger.await_epoch("00000")
    ledger.close()
    (table,) = (tmp_path / "trials").iterdir()  # none of the trial that has not begun
    assert pd.read_parquet(table)["epoch"].tolist() == [1, 2]


@pytest.mark.parametrize("scheduler", sorted(components("scheduler")))
def test_a_search_goes_on_with_each_scheduler_though_a_table_was_removed(
    tmp_path, monkeypatch, scheduler
):
    """Its trial begins anew; epochs that it trains again are results once."""
    monkeypatch.setattr(ledgers, "SECONDS_BEHIND", -1)
    create_study(tmp_path / "study", command="search")
    ledger = Ledger(tmp_path / "study")
    names = [ledger.add(TrialConfig(seed=seed, epochs=30)).name for seed in (0, 1)]
    for epoch in (1, 2, 3):
        for name in names:
            ledger.enter(name, Report(record=record(epoch, key=f"{name} {epoch}")))
    trial_file(tmp_path / "study", names[0]).unlink()
    for known in (0, 2):
        ledger = Ledger.read(tmp_path / "study")
        assert [len(ledger.trials[name].history) for name in names] == [known, 3]
        results = list(ledger.results(ledger.read_histories()))
        assert [epochs for name, epochs in results if name == names[0]] == [*range(1, known + 1)]
        assert [epochs for name, epochs in results if name == names[1]] == [1, 2, 3]
        chosen = SearchSettings.from_flat({"scheduler": scheduler}).scheduler
        metric = metric_of("val_accuracy")
        judge = chosen.judge(["ppe"], metric, seed=0)
        queue = SimpleNamespace(ledger=ledger, order=None, parts=None)
        chosen.tune_scheduler(queue, metric, judge)
        for epoch in (1, 2):
            ledger.enter(names[0], Report(record=record(epoch, key=f"{names[0]} {epoch}")))


@pytest.mark.parametrize("options", [
    *({"scheduler": name} for name in sorted(components("scheduler"))),
    {"scheduler": "pareto", "racing": 2.0},
], ids=str)  # fmt: skip
def test_each_scheduler_of_a_search_that_was_cut_is_pickled_as_tune_does_when_it_goes_on(
    tmp_path, options
):
    create_study(tmp_path / "study", command="search")
    ledger = Ledger(tmp_path / "study")
    completed, cut, paused = (ledger.add(TrialConfig(seed=n, epochs=4)).name for n in range(3))
    for name, epochs in ((completed, 4), (cut, 2), (paused, 1)):
        ledger.start(name)
        for epoch in range(1, epochs + 1):
            status = "completed" if epoch == 4 else "running"
            ledger.enter(name, Report(record=record(epoch, status=status, key=f"{name} {epoch}")))
    ledger.leave(paused, Status.PAUSED, "others are better")
    ledger = Ledger.read(tmp_path / "study")
    chosen = SearchSettings.from_flat(options).scheduler
    metric = metric_of("val_accuracy")
    judge = chosen.judge(["ppe"], metric, seed=0)
    queue = TrialQueue(ledger, resume=chosen.resume(judge))
    made = chosen.tune_scheduler(queue, metric, judge)
    tune.Tuner(
        AssignedTrial, tune_config=tune.TuneConfig(scheduler=made, search_alg=queue),
        run_config=tune.RunConfig(storage_path=str(tmp_path)),
    )  # fmt: skip
    assert list(tmp_path.glob("*/tuner.pkl"))


def test_a_trial_that_pauses_and_has_lost_its_table_waits(tmp_path):
    """It has nothing to go on from, which the scheduler that paused it does not expect."""
    create_study(tmp_path / "study", command="search")
    ledger = Ledger(tmp_path / "study")
    paused, awaiting = (ledger.add(TrialConfig(seed=seed)).name for seed in (0, 1))
    ledger.enter(paused, Report(record=record(1)))
    ledger.leave(paused, Status.PAUSED, "others are better")
    ledger.leave(awaiting, Status.PAUSED, "the budget is spent")
    trial_file(tmp_path / "study", paused).unlink(missing_ok=True)
    log = tmp_path / "study/search.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        line.pop("records", None)
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [t.status for t in Ledger.read(tmp_path / "study").trials.values()] == ["waiting"] * 2
