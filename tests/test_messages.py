"""What a driver and its actors tell each other comes through JSON and through Tune unchanged."""

import json
from dataclasses import fields

import pytest
from conftest import record
from ray.tune.utils import flatten_dict

from growsearch.searches.messages import (
    ActorOptions,
    Assignment,
    AwaitedEpoch,
    Report,
    StoreAccess,
    awaited_epoch,
    trial_name,
)
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import EpochRecord

STORE = StoreAccess(place="s3://bucket/epochs", owner="a search", keep_states="all", state_bytes=9)
REPORTS = {
    "trained": Report(record=record(1)),
    "remembered": Report(record=record(3), remembered=(record(1), record(2, grew=True))),
    "ended": Report(record=record(2, status="completed")),
    "failed": Report(record=record(2, status="failed"), reason="out of memory"),
    "awaits": Report(awaits=AwaitedEpoch("a key", 4), remembered=(record(4),)),
}


@pytest.mark.parametrize("store", [None, STORE], ids=["no store", "store"])
def test_an_assignment_is_read_as_it_was_sent(store):
    options = ActorOptions(store=store, epoch_timeout=2.5, auto_precision="bfloat16")
    trial = TrialConfig(policy="fixed", growth_epochs=(2, 4), epochs=6, lr=0.1)
    sent = Assignment(
        name="00007", trial=trial, known=3, first="a key", options=options, parts=(2, 4)
    )
    values = json.loads(json.dumps(sent.to_dict()))
    assert Assignment.from_dict(values) == sent
    assert trial_name(values) == "00007"


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS.keys())
def test_a_report_is_read_as_it_was_sent_also_when_tune_has_flattened_it(report):
    tunes = {"training_iteration": 5, "pid": 1, "config": {"name": "00007", "options": {}}}
    for result in (report.to_dict(), json.loads(json.dumps(report.to_dict())) | tunes):
        assert Report.from_dict(result) == report
        assert Report.from_dict(flatten_dict(result)) == report
        assert awaited_epoch(flatten_dict(result)) == report.awaits


def test_a_trial_leaves_its_actor_when_it_has_ended_or_awaits_an_epoch():
    done = {name: report.to_dict()["done"] for name, report in REPORTS.items()}
    leaves = {"ended", "failed", "awaits"}
    assert done == {name: name in leaves for name in REPORTS}


def test_a_trial_without_a_result_awaits_nothing():
    assert awaited_epoch(None) is awaited_epoch({}) is None


def test_what_schedulers_read_stands_at_the_top_of_a_result():
    result = Report(record=record(7, val_accuracy=61.5)).to_dict()
    assert (result["epoch"], result["val_accuracy"], result["status"]) == (7, 61.5, "running")


def test_no_field_of_a_record_has_the_name_of_another_key_of_a_result():
    """Keys of Tune's own are those of any trainable's result."""
    from ray.tune import Trainable

    class Nothing(Trainable):
        def step(self):
            return {}

    others = set(Nothing().train()) | set(REPORTS["awaits"].to_dict())
    assert not {f.name for f in fields(EpochRecord)} & others
