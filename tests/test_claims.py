"""Two processes with one store never train the same epoch at once, and neither waits forever."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from growsearch.epochs import claims
from growsearch.epochs.claims import CLAIMS, Claim, holder
from growsearch.epochs.store import EpochStore, entry_path
from growsearch.study.results import read_study
from growsearch.study.summary import was_paid
from growsearch.trainer import Trainer
from growsearch.trial.config import TrialConfig

HOST = socket.gethostname()
KEY, NEXT = "ab" * 16, "cd" * 16
SOME = TrialConfig(policy="fixed", growth_epochs=(3, 6), train_size=400, epochs=9, lr=0.1)


@pytest.fixture
def place(tmp_path):
    return str(tmp_path / "store")


@pytest.fixture
def ours(place):
    return EpochStore(place, "ours")


@pytest.fixture
def theirs(place):
    return EpochStore(place, "theirs")


def claims_in(place):
    return [path for path, _, files in os.walk(f"{place}/{CLAIMS}") if files]


def aged(place, seconds):
    path = f"{place}/{entry_path(CLAIMS, KEY)}"
    os.utime(path, (time.time() - seconds,) * 2)


def test_a_claim_is_seen_by_others_until_it_moves_on_or_ends(place, ours, theirs):
    claim = Claim(ours)
    assert claim.move(KEY)
    assert holder(ours, KEY) is None
    assert f"process {os.getpid()}" in holder(theirs, KEY)
    assert holder(theirs, NEXT) is None
    assert holder(theirs, NEXT, before=KEY)  # the trial is between the two epochs
    claim.move(NEXT)
    assert holder(theirs, KEY) is None and holder(theirs, NEXT)
    claim.release()
    assert holder(theirs, NEXT) is None
    claim.move(KEY)
    del claim
    assert claims_in(place) == []


def test_the_first_of_two_has_it(ours, theirs):
    first, second = Claim(ours), Claim(theirs)
    assert first.move(KEY)
    assert not second.move(KEY)
    assert second.move(NEXT)
    first.release()
    assert second.move(KEY)


def test_a_claim_that_its_owner_has_left_is_taken_over(ours):
    left, other = Claim(ours), Claim(ours)
    assert left.move(KEY) and other.move(KEY)


def test_a_claim_lapses_unless_it_is_renewed(place, ours, theirs, monkeypatch):
    claim = Claim(ours)
    claim.move(KEY)
    aged(place, claims.LIFETIME - 5)
    assert holder(theirs, KEY)
    aged(place, claims.LIFETIME + 5)
    assert holder(theirs, KEY) is None
    monkeypatch.setattr(claims, "LIFETIME", 0.8)
    claim = Claim(ours)
    claim.move(NEXT)
    for _ in range(8):
        time.sleep(0.2)
        assert holder(theirs, NEXT)
    claim.rest()
    time.sleep(1)
    assert holder(theirs, NEXT) is None


def test_half_a_claim_counts_until_it_lapses(place, ours, theirs):
    Claim(ours).move(KEY)
    path = f"{place}/{entry_path(CLAIMS, KEY)}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write("[")
    assert holder(theirs, KEY)
    aged(place, claims.LIFETIME + 5)
    assert holder(theirs, KEY) is None


def test_a_killed_process_claims_nothing(place, theirs):
    code = (
        "import os, signal\n"
        "from growsearch.epochs.claims import Claim\n"
        "from growsearch.epochs.store import EpochStore\n"
        f"claim = Claim(EpochStore({place!r}))\n"
        f"claim.move({KEY!r})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert claims_in(place)
    assert holder(theirs, KEY) is None
    assert claims_in(place) == []


def test_claims_and_files_of_killed_processes_are_removed_after_an_hour(place, ours):
    first, second = Claim(ours), Claim(ours)
    assert first.move(KEY) and second.move(NEXT)
    for path in (f"{CLAIMS}/cd/{NEXT}", "unfinished/half"):
        os.makedirs(os.path.dirname(f"{place}/{path}"), exist_ok=True)
        with open(f"{place}/{path}", "a"):
            os.utime(f"{place}/{path}", (time.time() - 3700,) * 2)
    aged(place, 3500)
    ours.sweep()
    assert claims_in(place) == [f"{place}/{CLAIMS}/ab"]
    assert os.listdir(f"{place}/unfinished") == []


@pytest.mark.slow
def test_a_trial_claims_what_it_trains_and_nothing_when_it_is_over(place, ours, theirs):
    trainer = Trainer(SOME, store=ours)
    other = Trainer(SOME, store=theirs)
    assert other.awaited is None
    other.branch.release()
    next(trainer)
    assert next(other).reused
    key, who = other.awaited
    assert "process" in who
    next(trainer)
    assert trainer.branch.keys[1] == key
    records = [*trainer.history, *trainer]
    assert other.awaited is None
    assert [r.reused for r in other] == [True] * 8
    assert list(other.history) == records
    assert claims_in(place) == []


@pytest.mark.slow
def test_two_processes_share_one_trial_and_train_each_of_its_epochs_once(tmp_path, place):
    """Both start together; starting takes about as long as training."""
    options = "train --policy fixed --growth-epochs 5 10 --epochs 15 --lr 0.1 --store"
    command = [sys.executable, "-c", "from growsearch.cli import main; main()", *options.split()]
    both = [subprocess.Popen([*command, place, "--out", f"{tmp_path}/{name}"]) for name in "ab"]
    assert [process.wait() for process in both] == [0, 0]
    one, other = studies = [read_study(tmp_path / name) for name in "ab"]
    assert sum(was_paid(study).sum() for study in studies) == 15
    columns = ["key", "train_loss", "val_loss", "lipschitz", "grew"]
    pd.testing.assert_frame_equal(one[columns], other[columns], check_exact=True)


def test_a_claim_from_the_future_or_of_no_process_claims_nothing_for_ever(place, ours, theirs):
    """A store may be copied with its times, or have been written by a stranger."""
    path = Path(place, entry_path(CLAIMS, KEY))
    Claim(ours).move(KEY)
    claim = Claim(ours)
    claim.move(KEY)
    aged(place, -claims.LIFETIME + 5)
    assert holder(theirs, KEY)
    path.write_text(path.read_text().replace(f"{os.getpid()}]", "1]").replace(HOST, "elsewhere"))
    aged(place, -3600)
    assert holder(theirs, KEY) is None
    for process in (2**40, -1, "many", 1.5, None):
        path.write_text(json.dumps(["another", HOST, process]))
        assert holder(theirs, KEY) == "process 0 on another host"
        aged(place, claims.LIFETIME + 5)
        assert holder(theirs, KEY) is None


def test_an_epoch_that_fails_is_no_longer_claimed(place, ours, theirs, monkeypatch):
    """So another search trains it, though the trainer lives on, as in a notebook."""
    trainer = Trainer(SOME, store=ours)
    next(trainer)

    def interrupted(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr("growsearch.trainer.run_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(trainer)
    assert claims_in(place) == []
    assert Trainer(SOME, store=theirs).awaited is None
