import copy
import math
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from conftest import WAYS_TO_GROW, first_quick

from growsearch.epochs.store import EpochStore, collect
from growsearch.machine.saved import load_tensors, save_tensors
from growsearch.schedules.cosine import adaptive_cosine
from growsearch.trainer import Trainer
from growsearch.training.state import read_state
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.status import Status


@pytest.fixture(scope="module")
def undisturbed():
    config = TrialConfig(
        train_size=200, epochs=6, lr=0.1, policy="fixed", growth_epochs=(2, 4)
    )  # fmt: skip
    return config, list(Trainer(config))


def test_a_trial_is_an_iterator_of_its_epochs(undisturbed):
    _, records = undisturbed
    assert [record.epoch for record in records] == [1, 2, 3, 4, 5, 6]
    assert [record.grew for record in records] == [False, True, False, True, False, False]
    assert [r.architecture for r in records] == ["2-2-2"] * 2 + ["4-4-4"] * 2 + ["8-8-8"] * 2
    assert [record.status for record in records] == ["running"] * 5 + ["completed"]


def test_costs_are_sums_of_what_was_trained(undisturbed):
    _, records = undisturbed
    # For one input channel: 97216 n - 19174 - 2 * 16 * 9 parameters at depth n-n-n.
    counts = [97216 * n - 19174 - 288 for n in (2, 2, 4, 4, 8, 8)]
    assert [record.parameters for record in records] == counts
    assert [record.param_epochs for record in records] == [sum(counts[: e + 1]) for e in range(6)]
    assert records[-1].ppe == pytest.approx(sum(counts) / 6, rel=1e-15)


def test_the_learning_rate_restarts_at_growth(undisturbed):
    _, records = undisturbed
    expected = [adaptive_cosine(t, g, epochs=6, lr=0.1) for t, g in enumerate((0, 0, 2, 2, 4, 4))]
    assert [record.lr for record in records] == expected
    assert expected[2] == expected[4] == 0.1


def test_the_same_trial_again_is_the_same_to_the_last_bit(undisturbed):
    config, records = undisturbed
    torch.manual_seed(123)
    torch.rand(7)
    assert list(Trainer(config)) == records


@pytest.mark.slow
def test_the_same_trial_in_another_process_is_the_same_to_the_last_bit(undisturbed):
    config, records = undisturbed
    code = (
        "import torch; torch.set_num_threads(1)\n"
        "from growsearch import Trainer, TrialConfig\n"
        f"for r in Trainer(TrialConfig.from_flat({config.to_flat()!r})):\n"
        "    print(r.train_loss.hex(), r.val_loss.hex(), r.val_accuracy.hex(), r.lipschitz.hex())"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = [
        " ".join(x.hex() for x in (r.train_loss, r.val_loss, r.val_accuracy, r.lipschitz))
        for r in records
    ]
    assert out.stdout.split("\n")[:-1] == expected


def test_another_seed_is_another_run(undisturbed):
    config, records = undisturbed
    other = next(Trainer(replace(config, seed=1)))
    assert other.train_loss != records[0].train_loss


@pytest.mark.slow
def test_epochs_do_not_depend_on_the_policy_that_led_to_them(undisturbed):
    """Growths at the same epochs give the same records, whether fixed or decided by constants."""
    _, records = undisturbed
    forced = TrialConfig(train_size=200, epochs=6, lr=0.1, rtol=1e9, window=2, reserve=2)
    by_lipschitz = list(Trainer(forced))
    assert by_lipschitz == records


@pytest.mark.parametrize("stop_after", first_quick([2, 3, 1, 4, 5], 0, slow=1))
def test_saved_loaded_and_gone_on_equals_straight_through(undisturbed, tmp_path, stop_after):
    config, records = undisturbed
    trainer = Trainer(config)
    for _ in range(stop_after):
        next(trainer)
    trainer.save(tmp_path / "state.safetensors")
    restored = Trainer.load(tmp_path / "state.safetensors")
    assert restored.config == replace(config, precision="float32", compile="off")
    assert list(restored.history) == records[:stop_after]
    assert list(restored) == records[stop_after:]
    assert list(Trainer.load(tmp_path / "state.safetensors")) == records[stop_after:]


@pytest.mark.long
def test_on_another_number_of_threads_a_trial_says_that_its_epochs_are_others(tmp_path, caplog):
    """Its later epochs have other keys, and the trial continues with them from the store."""
    config = TrialConfig(
        train_size=100, epochs=4, lr=0.1, policy="fixed", growth_epochs=3
    )  # fmt: skip
    records = list(Trainer(config))
    store = EpochStore(str(tmp_path / "epochs"))
    assert list(Trainer(config, store=store)) == records
    trainer = Trainer(config)
    assert [next(trainer), next(trainer)] == records[:2]
    trainer.save(tmp_path / "here.safetensors")
    torch.set_num_threads(2)
    try:
        moved = Trainer.load(tmp_path / "here.safetensors")
        moved.save(tmp_path / "there.safetensors")
        assert not caplog.text
        others = list(moved)
        assert "from epoch 3 on, sums may round differently than before: " in caplog.text
        assert caplog.text.count("round differently") == 1
        config, history, contents = read_state(tmp_path / "there.safetensors")
        again = Trainer(config, saved=(history, contents), store=store)
        assert next(again) == others[0]
        again.save(tmp_path / "there.safetensors")
        caplog.clear()
        assert list(Trainer.load(tmp_path / "there.safetensors")) == others[1:]
        assert not caplog.text
    finally:
        torch.set_num_threads(1)
    keys = {record.key for record in records}
    assert not any(record.reused or record.key in keys for record in others)


@pytest.mark.slow
def test_a_changed_weight_decay_is_that_of_a_trial_that_goes_on_with_the_other(tmp_path):
    config = TrialConfig(train_size=200, epochs=4, lr=0.1, policy="none", lr_schedule="constant")
    changed = list(Trainer(replace(config, optimizer_changes="2:weight_decay=0.05")))
    trainer = Trainer(config)
    plain = [next(trainer), next(trainer)]
    trainer.save(tmp_path / "state.safetensors")
    config, history, contents = read_state(tmp_path / "state.safetensors")
    other = list(Trainer(replace(config, weight_decay=0.05), saved=(history, contents)))
    assert changed[:2] == plain
    without = [[replace(record, key="") for record in records] for records in (changed, other)]
    assert without[0][2:] == without[1]
    plain += list(trainer)
    for one, same in zip(changed[2:], plain[2:], strict=True):
        assert one.key != same.key
        assert one.train_loss != same.train_loss


@pytest.mark.slow
def test_in_the_middle_of_a_lipschitz_window_too(tmp_path):
    config = TrialConfig(train_size=200, epochs=8, lr=0.1, rtol=1.0001, window=3, reserve=1)
    records = list(Trainer(config))
    assert any(record.grew for record in records)
    trainer = Trainer(config)
    for _ in range(2):
        next(trainer)
    trainer.save(tmp_path / "state.safetensors")
    assert list(Trainer.load(tmp_path / "state.safetensors")) == records[2:]


@pytest.mark.parametrize("fields", first_quick(WAYS_TO_GROW, 0, slow=1), ids=str)
def test_every_way_to_grow_goes_on_as_if_it_had_not_stopped(tmp_path, fields):
    """The stop may come while new blocks are initialized, or while the network is fine-tuned."""
    config = TrialConfig(train_size=200, epochs=6, lr=0.1, **fields)
    records = list(Trainer(config))
    assert sum(record.grew for record in records) >= 2
    trainer = Trainer(config)
    for stop_after in range(1, len(records)):
        assert next(trainer) == records[stop_after - 1]
        trainer.save(tmp_path / "state.safetensors")
        assert list(Trainer.load(tmp_path / "state.safetensors")) == records[stop_after:]


@pytest.mark.slow
def test_nothing_but_the_records_depends_on_how_much_of_lipschitz_is_recorded():
    config = TrialConfig(train_size=200, epochs=6, lr=0.1, policy="hand-tuned")
    brief, long = list(Trainer(config)), list(Trainer(replace(config, record_lipschitz="layers")))
    assert [len(record.lipschitz_layers) for record in long] == [24, 24, 48, 48, 96, 96]
    assert [
        replace(record, lipschitz_layers=None, lipschitz_blocks=None) for record in long
    ] == brief


def test_partial_training_moves_the_new_blocks_alone_for_one_epoch():
    config = TrialConfig(
        train_size=200, epochs=4, lr=0.1, policy="fixed", growth_epochs=1, initializer="partial"
    )  # fmt: skip
    trainer = Trainer(config)
    next(trainer)
    network = trainer.state.network
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    next(trainer)
    moved = {name for name, p in network.named_parameters() if not torch.equal(p, before[name])}
    new = {name for name in before if name.startswith("subnetworks") and name.split(".")[2] in "13"}
    assert moved == new
    next(trainer)
    assert all(not torch.equal(p, before[name]) for name, p in network.named_parameters())


def autogrow_trial(**fields):
    return TrialConfig(**{
        "policy": "periodic", "interval": 2, "patience": 4, "finetune_epochs": 4, "epochs": 14,
        "train_size": 300, "lr": 0.1, **fields,
    })  # fmt: skip


@pytest.mark.slow
def test_autogrow_grows_then_fine_tunes_the_network_it_has_found():
    records = list(Trainer(autogrow_trial(max_architecture="2-2-2")))
    grown = [record.epoch for record in records if record.grew]
    assert grown == [2, 4, 6]
    phases = [record.phase for record in records]
    assert phases == ["training"] * 8 + ["fine-tuning"] * 4
    assert {record.architecture for record in records[6:]} == {"2-2-2"}
    assert [r.lr for r in records] == pytest.approx([0.1] * 8 + [0.1, 0.1, 0.01, 0.001])
    assert [record.status for record in records] == ["running"] * 11 + ["completed"]


def test_fine_tuning_goes_on_from_the_last_weights_and_momentum():
    trainer = Trainer(autogrow_trial(max_architecture="1-1-1"))
    next(trainer)
    network, optimizer = trainer.state.network, trainer.state.optimizer
    next(trainer)
    assert next(trainer).phase == "fine-tuning"
    assert trainer.state.network is network and trainer.state.optimizer is optimizer


def test_momentum_follows_its_parameters_by_name_and_new_ones_have_none():
    trainer = Trainer(autogrow_trial())
    next(trainer)
    old_state = trainer.state
    assert next(trainer).grew
    old = {
        name: old_state.optimizer.state[p]["momentum_buffer"]
        for name, p in old_state.network.named_parameters()
    }
    new = {
        name: trainer.state.optimizer.state[p].get("momentum_buffer")
        for name, p in trainer.state.network.named_parameters()
    }
    assert set(new) - set(old) == {name for name in new if name.startswith("subnetworks.0.1.")}
    assert all(torch.equal(new[name], buffer) for name, buffer in old.items())
    assert all(new[name] is None for name in set(new) - set(old))
    assert not {b.data_ptr() for b in old.values()} & {
        b.data_ptr() for b in new.values() if b is not None
    }


@pytest.mark.slow
def test_adam_init_moves_nothing_but_the_new_blocks_last_normalization():
    """Running statistics of the old blocks do not change either (AutoGrow, section 2.2)."""
    trainer = Trainer(autogrow_trial(initializer="adam"))
    next(trainer)
    assert next(trainer).grew
    network = trainer.state.network
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    record = next(trainer)
    assert (record.phase, record.lr, record.architecture) == ("initializing", 0.001, "2-1-1")
    moved = {n for n, t in network.state_dict().items() if not torch.equal(t, before[n])}
    new = "subnetworks.0.1."
    assert {name for name, _ in network.named_parameters()} & moved == {
        f"{new}bn2.weight", f"{new}bn2.bias"
    }  # fmt: skip
    assert all(name.startswith(new) for name in moved)
    while record.phase == "initializing":
        record = next(trainer)
    after = network.state_dict()
    moved = {n for n, _ in network.named_parameters() if not torch.equal(after[n], before[n])}
    assert moved == {name for name, _ in network.named_parameters()}


def test_adam_init_is_torchs_adam_on_that_normalization_alone():
    """The reference trains a copy of the network for an epoch with torch's Adam."""
    trainer = Trainer(autogrow_trial(initializer="adam"))
    next(trainer), next(trainer)
    reference, dataset = copy.deepcopy(trainer.state.network), trainer.task.dataset
    next(trainer)
    last = reference.blocks[0][1].bn2
    adam = torch.optim.Adam(last.parameters(), lr=1e-3)
    for batch in dataset.training_batches(128, seed=0, epoch=3):
        loss = torch.nn.functional.cross_entropy(reference.train()(batch.images), batch.labels)
        adam.zero_grad()
        loss.backward()
        adam.step()
    trained = trainer.state.network.blocks[0][1].bn2
    assert torch.allclose(trained.weight, last.weight, rtol=1e-5)
    assert torch.allclose(trained.bias, last.bias, rtol=1e-4, atol=1e-7)


def test_a_last_batch_of_one_image_is_an_error_before_training():
    with pytest.raises(InputError, match=r"batch_size=128 leaves one of 129 .* change batch_size"):
        Trainer(TrialConfig(policy="none", train_size=129))


def test_what_is_no_saved_state_is_one_line(tmp_path):
    (tmp_path / "other.safetensors").write_text("nothing")
    for name in ("other.safetensors", "missing.safetensors"):
        with pytest.raises(InputError, match=f"{name}' is not a saved state") as caught:
            Trainer.load(tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_adam_init_ends_when_training_accuracy_is_back_and_its_epochs_cost():
    records = list(Trainer(autogrow_trial(initializer="adam", max_architecture="2-2-1")))
    starts = [i + 1 for i, record in enumerate(records) if record.grew]
    assert len(starts) == 2
    for start in starts:
        apart = 0
        while records[start + apart].phase == "initializing":
            apart += 1
        back = [
            records[start - 1].train_accuracy - record.train_accuracy <= 0.5
            for record in records[start : start + apart]
        ]
        assert back[-1] or apart == 10
        assert not any(back[:-1])
    training = [r for r in records if r.phase == "training"]
    assert [r.grew for r in training] == [False, True] * 2 + [False, False]
    for one, two in pairwise(records):
        assert two.param_epochs == one.param_epochs + two.parameters
        assert two.train_flops == one.train_flops + 6 * two.macs * 300


def test_accuracies_are_percent_rounded_once():
    """100 * right / n is rounded once, so 90.05 is the nearest float, and ties stay ties."""
    record = next(Trainer(TrialConfig(policy="none", epochs=1, train_size=200)))
    for accuracy, n in ((record.val_accuracy, 300), (record.train_accuracy, 200)):
        assert accuracy in {100 * right / n for right in range(n + 1)}


def test_wall_times_are_of_the_parts(undisturbed):
    _, records = undisturbed
    for record in records:
        parts = record.train_seconds + record.eval_seconds + record.lipschitz_seconds
        assert 0 < parts + record.growth_seconds <= record.seconds
        assert record.store_seconds == 0
        assert (record.growth_seconds > 0) == record.grew


def test_a_state_of_another_network_does_not_load(undisturbed, tmp_path):
    config, _ = undisturbed
    trainer = Trainer(config)
    trainer.save(tmp_path / "state.safetensors")
    contents = load_tensors(tmp_path / "state.safetensors")
    del contents["network"]["classifier.bias"]
    save_tensors(contents, tmp_path / "state.safetensors")
    with pytest.raises(InputError, match=r"classifier\.bias"):
        Trainer.load(tmp_path / "state.safetensors")


@pytest.mark.slow
def test_the_test_set_steers_nothing():
    """Shuffled test labels change the recorded test accuracy and nothing else."""
    config = TrialConfig(train_size=200, epochs=6, lr=0.1, rtol=1.0001, window=1, reserve=1)
    records = list(Trainer(config))
    trainer = Trainer(config)
    test = trainer.task.dataset.test
    shuffled = replace(test, labels=test.labels.roll(1))
    vars(trainer.task)["dataset"] = replace(trainer.task.dataset, test=shuffled)
    others = list(trainer)
    assert any(record.grew for record in records)
    assert [replace(r, test_accuracy=0.0, metrics={}) for r in others] == [
        replace(r, test_accuracy=0.0, metrics={}) for r in records
    ]
    assert [r.test_accuracy for r in others] != [r.test_accuracy for r in records]


@pytest.mark.slow
def test_a_network_learns_the_digits():
    *_, last = Trainer(TrialConfig(policy="none", epochs=12, lr=0.1))
    assert last.val_accuracy > 97
    assert last.test_accuracy > 95
    assert last.train_loss < 0.2


def test_losses_and_accuracies_are_those_of_the_whole_split():
    trainer = Trainer(TrialConfig(policy="none", epochs=1, train_size=200))
    record = next(trainer)
    dataset, network = trainer.task.dataset, trainer.state.network.eval()
    with torch.no_grad():
        images = (dataset.val.images.double() / 16 - 0.3049) / 0.3758
        logits = network.double()(images)
    right = (logits.argmax(1) == dataset.val.labels).double().mean().item()
    loss = torch.nn.functional.cross_entropy(logits, dataset.val.labels).item()
    assert record.val_accuracy == pytest.approx(100 * right, abs=1e-9)
    assert record.val_loss == pytest.approx(loss, rel=1e-4)


def test_a_loss_that_is_no_number_ends_the_trial_as_diverged():
    records = list(Trainer(TrialConfig(lr=1e18, epochs=5, window=1, reserve=1, train_size=200)))
    assert records[-1].status == "diverged"
    assert len(records) < 5
    assert not math.isfinite(records[-1].val_loss)
    assert not any(record.grew for record in records)


def test_cuda_where_there_is_none_is_an_error_with_the_remedy(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"'cuda' .* use auto or cpu"):
        Trainer(TrialConfig(device="cuda"))


@pytest.mark.slow
def test_time_in_the_store_is_apart_from_training_and_told_of_reused_epochs_too(tmp_path):
    config = TrialConfig(train_size=200, epochs=3, lr=0.1, policy="fixed", growth_epochs=2)
    trained = list(Trainer(config, store=EpochStore(str(tmp_path))))
    for r in trained:
        others = r.train_seconds + r.eval_seconds + r.lipschitz_seconds + r.growth_seconds
        assert r.store_seconds > 0
        assert others + r.store_seconds <= r.seconds
    reused = list(Trainer(config, store=EpochStore(str(tmp_path))))
    assert all(record.reused and record.store_seconds > 0 for record in reused)
    assert [r.train_seconds for r in reused] == [r.train_seconds for r in trained]


GROWS_TOO_FAR = """
import resource, sys, torch
torch.set_num_threads(1)
from growsearch import Trainer, TrialConfig
from growsearch.epochs.store import EpochStore
config = TrialConfig(
    train_size=200, epochs=4, lr=0.1, policy="fixed", growth_epochs=2, initializer="default",
    growth_architectures="2-2-2000",
)
trainer = Trainer(config, store=EpochStore(sys.argv[1]))
print(next(trainer).status, trainer.reason)
there = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (there + 2**28, resource.RLIM_INFINITY))
print(next(trainer).status, trainer.reason)
print(list(trainer))
trainer.save(sys.argv[2])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits its own memory as Linux does")
def test_a_growth_beyond_memory_ends_as_failed_with_the_last_epoch_safe(tmp_path):
    """2,000 blocks need 600 MB; the process may use 256 MB."""
    store, saved = str(tmp_path / "epochs"), str(tmp_path / "state.safetensors")
    command = [sys.executable, "-c", GROWS_TOO_FAR, store, saved]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    assert out.stdout.splitlines() == [
        "running None", "failed out of memory at growth to 2-2-2000", "[]"
    ]  # fmt: skip
    failed = Trainer.load(saved)
    assert (failed.history[-1].status, failed.finished) == ("failed", True)
    modest = replace(failed.config, growth_architectures="2-2-3")
    straight = list(Trainer(modest))
    again = list(Trainer(modest, store=EpochStore(store)))
    assert [record.reused for record in again] == [True, True, False, False]
    assert [replace(record, key="") for record in again] == [
        replace(record, key="") for record in straight
    ]


TRAINS_TOO_MUCH = """
import resource, sys, torch
torch.set_num_threads(1)
from growsearch import Trainer, TrialConfig
trainer = Trainer(TrialConfig(
    train_size=200, epochs=4, lr=0.1, policy="fixed", growth_epochs=1, initializer="default",
    growth_architectures="2-2-300",
))
print(next(trainer).status)
trainer.save(sys.argv[1])
there = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (there + 2**26, resource.RLIM_INFINITY))
print(list(trainer), trainer.history[-1].status, trainer.finished, trainer.reason)
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="limits its own memory as Linux does")
def test_so_does_one_whose_first_epoch_is_beyond_memory(tmp_path):
    """The gradients of 300 blocks need 89 MB; the process may use 64 MB."""
    command = [sys.executable, "-c", TRAINS_TOO_MUCH, str(tmp_path / "state.safetensors")]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    assert out.stdout.splitlines() == [
        "running", "[] failed True out of memory at growth to 2-2-300"
    ]  # fmt: skip
    saved = Trainer.load(tmp_path / "state.safetensors")
    assert (saved.history[-1].grew, saved.finished) == (True, False)
    assert str(saved.state.architecture) == "2-2-300"


def test_an_interrupt_while_a_state_is_made_again_is_an_interrupted_epoch(tmp_path, monkeypatch):
    """The state is half trained then, and no other epoch may begin from it."""
    trial = TrialConfig(policy="none", train_size=100, epochs=4, lr=0.1)
    store = EpochStore(str(tmp_path / "store"))
    first = Trainer(trial, store=store)
    for _ in range(3):
        next(first)
    first.branch.release()
    collect(store, 0)  # without states, the three epochs are trained again

    def interrupted(*given):
        raise KeyboardInterrupt

    for use in (next, lambda trainer: trainer.state):
        trainer = Trainer(trial, store=store)
        for _ in range(3):
            next(trainer)
        with monkeypatch.context() as patch:
            patch.setattr("growsearch.epochs.branch.retrain", interrupted)
            with pytest.raises(KeyboardInterrupt):
                use(trainer)
        with pytest.raises(InputError, match="epoch 4 was interrupted"):
            next(trainer)
    assert list(Trainer(trial, store=store))[-1].status is Status.COMPLETED
