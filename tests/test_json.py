"""What commands print with --json: one document, which equals what Python's functions return."""

import json
import shutil
from dataclasses import fields

import pytest
from conftest import ROOT, record, run

from growsearch import read_study, summarize
from growsearch.cli import documents
from growsearch.cli.parser import _parser
from growsearch.searches.ledger import Ledger
from growsearch.study.as_json import plain
from growsearch.study.copying import StudyCopy
from growsearch.study.results import read_histories
from growsearch.trial.components import components
from growsearch.trial.config import TrialConfig
from growsearch.trial.status import Status

QUICK = ["--epochs", 2, "--train-size", 100, "--policy", "none", "--precision", "float32"]


def document(capsys, kind, *arguments, code=0, more=()):
    """What the command prints, which has the keys of its class; nothing else is on stdout."""
    found, out, _ = run(capsys, *arguments, "--json")
    assert found == code
    printed = json.loads(out, parse_constant=pytest.fail)  # NaN and Infinity are not JSON
    for one in printed if isinstance(printed, list) else [printed]:
        assert set(one) == {f.name for f in fields(kind)} | set(more)
    return printed


@pytest.fixture
def study(tmp_path):
    return shutil.copytree(ROOT / "analysis/studies/lipgrow_digits", tmp_path / "study")


def test_every_command_takes_json():
    def leaves(parser):
        choices = [a.choices for a in parser._actions if isinstance(a.choices, dict)]
        found = [sub for subs in choices for sub in subs.values() if isinstance(sub, type(parser))]
        return [leaf for one in found for leaf in leaves(one)] if found else [parser]

    for command in leaves(_parser()):
        assert "--json" in command._option_string_actions, command.prog


def test_train_prints_its_records_and_a_store_what_it_has(capsys, tmp_path):
    out, store = tmp_path / "one", tmp_path / "store"
    printed = document(capsys, documents.Trained, "train", *QUICK, "--out", out, "--store", store)
    ((name, history),) = read_histories(out).items()
    assert (printed["study"], printed["trial"], printed["reason"]) == (str(out), name, None)
    assert printed["status"] == "completed"
    assert printed["records"] == plain([record.to_dict() for record in history])
    listed = document(capsys, documents.Stored, "store", "ls", store)
    assert (listed["records"]["count"], listed["damaged"]) == (2, None)
    assert document(capsys, documents.Stored, "store", "verify", store)["damaged"] == []
    (state,) = (store / "states").glob("*/*")
    size = state.stat().st_size
    assert listed["states"] == {"count": 1, "bytes": size}
    collected = document(capsys, documents.Collected, "store", "gc", store, "--state-megabytes", 0)
    assert collected == {"place": str(store), "removed": 1, "bytes": size, "left": 0}
    exported = tmp_path / "model.safetensors"
    found = document(capsys, documents.Exported, "export", out, "--out", exported)
    assert found["bytes"] == exported.stat().st_size


def test_fetch_prints_what_it_made(capsys, study, tmp_path):
    StudyCopy(study, str(tmp_path / "copy")).update()
    new = tmp_path / "new"
    printed = document(capsys, documents.Fetched, "fetch", tmp_path / "copy", new)
    assert printed == {"study": str(new), "place": str(tmp_path / "copy")}
    assert read_study(new).equals(read_study(study))


def test_report_prints_the_front_with_all_columns(capsys, study):
    printed = document(capsys, documents.Reported, "report", study)
    trials = summarize(read_study(study)).set_index("trial_id", drop=False)
    assert [row["trial_id"] for row in printed["front"]]
    for row in printed["front"]:
        expected = plain(trials.loc[row["trial_id"]].to_dict())
        assert row == {**expected, "val_delta": None}  # no trial has a twin from scratch
    assert printed["page"] == str(study / "report.html")


def test_best_record_plan_and_list(capsys, study, tmp_path):
    from growsearch.searches.plan import plan_search
    from growsearch.study.study import StoredStudy
    from growsearch.tuning.search_space import draw_trials, load_spaces

    assert document(capsys, documents.Best, "best", study) == plain(
        StoredStudy(study).best().to_dict()
    )
    printed = document(capsys, documents.Recorded, "record", study, tmp_path / "copy")
    assert read_study(printed["out"]).equals(read_study(study))
    planned = plan_search(draw_trials(load_spaces("lipgrow", {}), 3, 0))
    assert document(capsys, documents.Planned, "plan", "lipgrow", "--trials", 3) == vars(planned)
    listed = document(capsys, documents.Listed, "list", "policy")["components"]
    assert [one["name"] for one in listed] == list(components("policy"))
    (one,) = document(capsys, documents.Listed, "list", "policy", "fixed")["components"]
    assert one in listed
    assert [o["name"] for o in one["options"]] == list(components("policy")["fixed"].options())


def test_reproduce_lists_what_there_is(capsys):
    from growsearch.reproductions.catalogue import names

    printed = document(capsys, documents.Reproducible, "reproduce", "--list")
    assert [one["name"] for one in printed] == list(names())
    planned = document(
        capsys, documents.Planned, "reproduce", "lipgrow-figure5", "--plan", more=["from_scratch"]
    )
    assert planned["trials"] > 0


def test_reproduce_prints_one_epoch_of_each_group(capsys, monkeypatch):
    first = record(1, val_loss=float("inf"))
    begun = [("CIFAR-10", "rtol 1.1", first), ("CIFAR-100", "rtol 1.1", first)]
    monkeypatch.setattr("growsearch.reproductions.running.first_epochs", lambda scale: begun)
    printed = document(capsys, documents.Begun, "reproduce", "lipgrow-rtol", "--one-epoch")
    assert [one["group"] for one in printed] == ["CIFAR-10", "CIFAR-100"]
    assert printed[0]["record"] == plain(first.to_dict())
    assert documents.Begun in documents.DOCUMENTS


def test_statuses_of_the_log_are_those_of_the_ledger(tmp_path):
    ledger = Ledger(tmp_path)
    for seed in range(3):
        ledger.add(TrialConfig(seed=seed))
    ledger.leave("00001", Status.FAILED, "its process died")
    ledger.leave("00002", Status.WAITING, "")
    assert list(ledger.statuses().values()) == ["waiting", "failed", "waiting"]


@pytest.mark.slow
def test_search_and_resume_print_their_outcome(capsys, tmp_path, ray):
    space = tmp_path / "space.py"
    space.write_text("param_space = {'policy': 'none', 'lr': 0.1}\n")
    printed = document(
        capsys, documents.Searched, "search", space, *QUICK[:4], "--out", tmp_path / "study"
    )
    assert printed["outcomes"] == {"completed": 1}
    assert (printed["failures"], printed["unfinished"]) == ([], 0)
    assert set(printed["report"]) == {f.name for f in fields(documents.Reported)}
    again = document(capsys, documents.Searched, "resume", tmp_path / "study")
    assert again == printed


@pytest.mark.slow
def test_replay_reproduce_and_check_task(capsys, tmp_path):
    study = ROOT / "analysis/studies/gpt_growth"
    replayed = document(
        capsys, documents.Replayed, "replay", study, "--schedulers", "none", "--workers", 1,
        "--seeds", 2,
    )  # fmt: skip
    assert [one["scheduler"] for one in replayed["schedulers"]] == ["none"]
    document(
        capsys, documents.Reproduced, "reproduce", "lipgrow-schedules", "--out", tmp_path / "out"
    )
    checked = document(capsys, documents.Checked, "check-task", ROOT / "examples/mlp.py")
    assert checked["failed"] == 0 and len(checked["checks"]) > 10


def test_compare_prints_its_document(capsys, study, tmp_path):
    other = shutil.copytree(study, tmp_path / "other")
    document(capsys, documents.Compared, "compare", study, other)


def test_an_error_prints_no_document(capsys, tmp_path):
    code, out, said = run(capsys, "report", tmp_path / "none", "--json")
    assert (code, out) == (2, "") and "is not a study" in said
