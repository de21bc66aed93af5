"""Epochs are trained once; recalled epochs equal trained ones."""

import logging
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from conftest import WAYS_TO_GROW, files_of_at_most, first_quick
from pyarrow import fs

from growsearch.epochs.store import FILES_PER_READER, RECORDS, STATES, EpochStore, readers
from growsearch.trainer import Trainer
from growsearch.training import epoch as training
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import EpochRecord

SHORT = {"train_size": 200, "epochs": 6, "lr": 0.1}
SMALL = SHORT | {"architecture": "1-1-1", "initializer": "zero"}


@pytest.fixture
def store(tmp_path):
    return EpochStore(str(tmp_path / "store"))


def reused(records):
    return [record.reused for record in records]


def files(store, kind):
    return [entry.path for entry in store.entries(kind)]


@pytest.mark.parametrize("fields", first_quick(WAYS_TO_GROW, 1, slow=1), ids=str)
def test_trained_and_replayed_are_the_undisturbed_run_to_the_last_bit(store, fields):
    config = TrialConfig(**SHORT | fields)
    alone = list(Trainer(config))
    trained = list(Trainer(config, store=store))
    replayed = list(Trainer(config, store=store))
    assert trained == replayed == alone
    assert not any(reused(trained)) and all(reused(replayed))
    final, expected = Trainer(config, store=store), Trainer(config)
    list(final), list(expected)
    weights = expected.state.network.state_dict()
    for name, tensor in final.state.network.state_dict().items():
        assert torch.equal(tensor, weights[name])


@pytest.mark.parametrize("keep_states", first_quick(["last", "forks", "all"], 0, slow=1))
@pytest.mark.parametrize("fields", first_quick(WAYS_TO_GROW, 1, slow=0), ids=str)
def test_a_trial_that_was_killed_goes_on_from_its_newest_epoch(store, fields, keep_states):
    config = TrialConfig(**SHORT | fields)
    records = list(Trainer(config))
    for killed_after in (2, 4):
        killed = Trainer(config, store=store, keep_states=keep_states)
        for _ in range(killed_after):
            next(killed)
        del killed
    again = list(Trainer(config, store=store, keep_states=keep_states))
    assert again == records
    assert reused(again) == [True] * 4 + [False] * (len(records) - 4)


@pytest.mark.slow
def test_schedules_share_their_prefix_and_pay_for_what_is_new(store):
    """Growths after epochs (2, 4), (2, 5), (3, 5) need 6, then 2, then 4 new epochs."""
    paid = {}
    for epochs in ((2, 4), (2, 5), (3, 5)):
        config = TrialConfig(policy="fixed", growth_epochs=epochs, **SMALL)
        records = list(Trainer(config, store=store))
        assert records == list(Trainer(config))
        paid[epochs] = reused(records).count(False)
    assert paid == {(2, 4): 6, (2, 5): 2, (3, 5): 4}


@pytest.mark.slow
def test_policies_initializers_and_schedules_share_until_they_differ(store):
    first = TrialConfig(policy="fixed", growth_epochs=3, **SHORT)
    list(Trainer(first, store=store))

    def shared(**fields):
        return reused(Trainer(TrialConfig(**SHORT | fields), store=store)).count(True)

    grown_at_3 = {"policy": "fixed", "growth_epochs": 3}
    assert shared(rtol=1e9, window=1, reserve=3, max_architecture="4-4-4") == 6
    assert shared(**grown_at_3, initializer="zero") == 3
    assert shared(**grown_at_3, momentum_on_growth="carry") == 3
    assert shared(**grown_at_3, growth_architectures="2-2-3") == 3
    assert shared(**grown_at_3, lr_schedule="cosine") == 3
    assert shared(**grown_at_3, record_lipschitz="layers") == 6
    for other in ({"seed": 1}, {"batch_size": 64}, {"weight_decay": 0.1}, {"train_size": 201}):
        assert shared(**grown_at_3 | other) == 0
    assert shared(policy="none", architecture="4-4-4") == 0


@pytest.mark.slow
def test_autogrow_shares_with_a_trial_that_fine_tunes_later(store):
    """With a constant learning rate, fine-tuning epochs are shared but keep their own phase."""
    fields = {**SMALL, "policy": "periodic", "interval": 1, "patience": 1, "tau": 99}
    one = TrialConfig(**fields, finetune_epochs=4, max_architecture="2-1-1")
    two = TrialConfig(**fields, finetune_epochs=2, max_architecture="2-1-1")
    list(Trainer(one, store=store))
    records = list(Trainer(two, store=store))
    assert records == list(Trainer(two))
    assert sum(reused(records)) == 3
    assert [r.phase for r in records] == ["training"] * 2 + ["fine-tuning"] * 2


@pytest.mark.slow
def test_details_of_lipschitz_are_remembered_for_who_wants_them(store):
    config = TrialConfig(policy="fixed", growth_epochs=2, **SMALL)
    list(Trainer(config, store=store))
    wants = replace(config, record_lipschitz="layers")
    records = list(Trainer(wants, store=store))
    assert all(reused(records))
    assert records == list(Trainer(wants))


@pytest.mark.parametrize(
    "dropped", first_quick(["every other", "all", "all but the first"], 0, slow=1)
)
def test_a_state_that_is_gone_is_trained_again_from_the_nearest(store, dropped):
    config = TrialConfig(policy="fixed", growth_epochs=(2, 4), **SMALL)
    trainer = Trainer(config, store=store, keep_states="all")
    list(trainer)
    keys = trainer.branch.keys
    for key in {"all": keys, "every other": keys[1::2], "all but the first": keys[1:]}[dropped]:
        store.drop(key)
    for growth_epochs in ((2, 4, 5), (4, 5), (2,)):
        other = TrialConfig(policy="fixed", growth_epochs=growth_epochs, **SMALL)
        assert list(Trainer(other, store=store)) == list(Trainer(other))


@pytest.mark.slow
def test_what_is_kept_of_the_states(tmp_path):
    """The trial has six epochs and grows after 2 and 4: the forks. Others may part after 3."""
    config = TrialConfig(policy="fixed", growth_epochs=(2, 4), **SMALL)
    counts = {}
    for keep, parts in (("all", ()), ("forks", ()), ("forks", (3,)), ("last", (3,))):
        store = EpochStore(str(tmp_path / f"{keep} {parts}"))
        trainer = Trainer(config, store=store, keep_states=keep, parts=parts)
        list(trainer)
        kept = {path.rpartition("/")[2] for path in files(store, STATES)}
        counts[keep, parts] = [i + 1 for i, key in enumerate(trainer.branch.keys) if key in kept]
        assert len(files(store, RECORDS)) == 8  # six epochs, two growths
    assert counts == {
        ("all", ()): [1, 2, 3, 4, 5, 6], ("forks", ()): [2, 4, 6], ("forks", (3,)): [2, 3, 4, 6],
        ("last", (3,)): [6],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("files", "size", "expected"),
    [
        (0, 0, 1),
        (FILES_PER_READER, 0, 1),
        (FILES_PER_READER + 1, 0, 2),
        (10, 10**9, 6),  # 10 GB are read like 10,000 files
        (10**7, 0, 8),
    ],
)
def test_no_more_processes_verify_a_store_than_its_files_need(files, size, expected):
    listed = (fs.FileInfo("records/00/00", fs.FileType.File, size=size) for _ in range(files))
    assert readers(listed, most=8) == expected


@pytest.mark.parametrize("kind", first_quick([RECORDS, STATES], 1))
@pytest.mark.parametrize("harm", first_quick(["cut short", "one bit", "empty"], 1, slow=0))
def test_a_damaged_entry_is_reported_once_and_made_anew(store, tmp_path, caplog, kind, harm):
    config = TrialConfig(policy="fixed", growth_epochs=2, **SMALL)
    trainer = Trainer(config, store=store, keep_states="all")
    records = list(trainer)
    key = trainer.branch.keys[3]
    path = tmp_path / "store" / kind / key[:2] / key
    content = bytearray(path.read_bytes())
    content[-9] ^= 4
    damaged = {"cut short": content[:-5], "one bit": content, "empty": b""}[harm]
    path.write_bytes(damaged)
    assert not store.is_whole(f"{kind}/{key[:2]}/{key}")
    other = TrialConfig(policy="fixed", growth_epochs=(2, 4), **SMALL)
    with caplog.at_level(logging.WARNING, logger="growsearch"):
        assert list(Trainer(other, store=store)) == list(Trainer(other))
        assert list(Trainer(config, store=store)) == records
    assert [r.message for r in caplog.records if key in r.message and "damaged" in r.message]
    assert len(caplog.records) == 1


def without(name):
    return lambda entry: {n: value for n, value in entry.items() if n != name}


OTHERS = {
    "unknown field": (RECORDS, lambda entry: entry | {"warp": 1} if "by" in entry else entry),
    "other optimizer": (STATES, lambda state: state | {"optimizer": 7}),
    "no by": (RECORDS, without("by")),
    "no growth_seconds": (RECORDS, without("growth_seconds")),
    "text": (RECORDS, lambda entry: dict.fromkeys(entry, "fast")),
    "nothing": (RECORDS, lambda entry: dict.fromkeys(entry)),
    "no network": (STATES, without("network")),
    "other architecture": (STATES, lambda state: state | {"architecture": "9"}),
}


@cache
def grown_once() -> tuple[TrialConfig, list[EpochRecord]]:
    config = TrialConfig(**SMALL | {"epochs": 3, "policy": "fixed", "growth_epochs": (1,)})
    return config, list(Trainer(config))


@pytest.mark.parametrize("name", first_quick([*OTHERS], slow=2))
def test_an_entry_of_another_version_is_named_and_made_anew(store, caplog, name):
    """Its hash is right, but it is no epoch of this growsearch."""
    kind, other = OTHERS[name]
    config, alone = grown_once()
    list(Trainer(config.replaced(epochs=2), store=store, keep_states="all"))
    for entry in list(store.entries(kind)):
        content = (store.record if kind == RECORDS else store.state)(entry.base_name)
        store.remove(entry.path)
        (store.remember if kind == RECORDS else store.keep)(entry.base_name, other(content))
    assert list(Trainer(config, store=store)) == alone
    assert "is no such entry" in caplog.text
    caplog.clear()
    assert list(Trainer(config, store=store)) == alone
    assert not caplog.text


@pytest.mark.parametrize("room", first_quick(["none", "for records"], 0, slow=1))
def test_a_full_disk_ends_no_trial_and_is_told_once(store, caplog, room):
    config = TrialConfig(policy="fixed", growth_epochs=2, **SMALL)
    begun = Trainer(config, store=store)
    next(begun)
    del begun
    alone = list(Trainer(config))
    with (
        caplog.at_level(logging.WARNING, logger="growsearch"),
        files_of_at_most(0 if room == "none" else 20_000),
    ):
        assert list(Trainer(config, store=store)) == alone
    (told,) = caplog.records
    assert "File too large" in told.message and "\n" not in told.message
    assert len(files(store, RECORDS)) == (1 if room == "none" else 7)
    assert len(files(store, STATES)) == 1  # older states stay
    assert not list(Path(store.place, "unfinished").iterdir())
    assert list(Trainer(config, store=store)) == alone


@pytest.mark.parametrize("keep_states", first_quick(["forks", "all"], 0, slow=1))
def test_states_stay_within_their_budget_and_the_deepest_stay(tmp_path, keep_states):
    config = TrialConfig(policy="fixed", growth_epochs=(2, 4), **SMALL)
    sizes = EpochStore(str(tmp_path / "all"))
    trainer = Trainer(config, store=sizes, keep_states="all")
    list(trainer)
    size = {entry.base_name: entry.size for entry in sizes.entries(STATES)}
    budget = sum(size[key] for key in trainer.branch.keys[3:])
    store = EpochStore(str(tmp_path / "store"), state_bytes=budget)
    trainer = Trainer(config, store=store, keep_states=keep_states)
    for _ in trainer:
        assert sum(entry.size for entry in store.entries(STATES)) <= budget
    kept = {entry.base_name for entry in store.entries(STATES)}
    # The budget holds three states of rising size; the forks fit in it.
    whole = {"all": trainer.branch.keys[3:], "forks": trainer.branch.keys[1::2]}
    assert kept == set(whole[keep_states])
    other = TrialConfig(policy="fixed", growth_epochs=(2, 3), **SMALL)
    assert list(Trainer(other, store=store)) == list(Trainer(other))


def test_nothing_unfinished_is_left_and_no_entry_is_seen_before_it_is_whole(store, tmp_path):
    config = TrialConfig(policy="fixed", growth_epochs=2, **SMALL)
    list(Trainer(config, store=store))
    assert list((tmp_path / "store" / "unfinished").iterdir()) == []
    for kind in (RECORDS, STATES):
        assert all(store.is_whole(path) for path in files(store, kind))


@pytest.mark.slow
def test_keys_are_the_same_in_another_process_and_spelling(store):
    config = TrialConfig(policy="fixed", growth_epochs=(2, 4), **SHORT)
    trainer = Trainer(config, store=store)
    list(trainer)
    code = (
        "import torch; torch.set_num_threads(1)\n"
        "from growsearch import Trainer, TrialConfig\n"
        "from growsearch.epochs.store import EpochStore\n"
        "trainer = Trainer(TrialConfig(growth_epochs=[2.0, 4], policy='fixed', lr=0.1,"
        f" epochs=6.0, train_size=200), store=EpochStore({store.place!r}))\n"
        "assert all(r.reused for r in trainer)\n"
        "print(*trainer.branch.keys)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == trainer.branch.keys


@pytest.mark.slow
def test_another_number_of_threads_is_another_tree(store):
    """Sums are taken in another order."""
    config = TrialConfig(policy="none", **SHORT | {"epochs": 1})
    next(Trainer(config, store=store))
    torch.set_num_threads(2)
    try:
        assert not next(Trainer(config, store=store)).reused
    finally:
        torch.set_num_threads(1)


def test_a_remembered_trial_loads_and_trains_nothing(store, monkeypatch):
    config = TrialConfig(policy="periodic", interval=1, finetune_epochs=2, **SHORT)
    list(Trainer(config, store=store))

    def never(*_):
        raise AssertionError("trained or loaded")

    monkeypatch.setattr(training, "train_epoch", never)
    monkeypatch.setattr(EpochStore, "state", never)
    assert all(reused(Trainer(config, store=store)))


def test_a_place_that_cannot_be_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (str(tmp_path / "file" / "store"), "nowhere://bucket"):
        with pytest.raises(InputError, match="give a folder or an address") as caught:
            EpochStore(place)
        assert "\n" not in str(caught.value)
