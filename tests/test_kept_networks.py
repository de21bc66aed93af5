"""The networks of the best and the last epoch stay, whatever an epoch store keeps."""

from pathlib import Path

import pytest
import torch
from conftest import first_quick, record

from growsearch.epochs.kept_networks import KeptNetworks, kept_weights
from growsearch.epochs.store import EpochStore, collect
from growsearch.study.network_spec import NetworkSpec, rebuilt
from growsearch.tasks.images.facts import ImageFacts
from growsearch.trainer import Trainer
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import History

SHORT = {
    "epochs": 6, "lr": 0.1, "train_size": 200, "policy": "fixed", "precision": "float32",
    "compile": "off",
}  # fmt: skip


def files(folder) -> set[str]:
    return {path.stem for path in Path(folder).glob("*.safetensors")}


def is_found(trainer, networks, epoch) -> bool:
    """Whether the weights after the epoch are there, and have the recorded accuracy."""
    one = trainer.history[epoch - 1]
    found = kept_weights(networks, one.key)
    if found is None:
        return False
    assert found["architecture"] == one.architecture
    spec = NetworkSpec.of(trainer.config, one.architecture, found["facts"])
    network = rebuilt(spec, found["network"])
    with torch.no_grad():
        found = trainer.task.evaluate(network, "val")
    assert found == {"loss": one.val_loss, "accuracy": one.val_accuracy}
    return True


def best_epoch(history) -> int:
    accuracies = [one.val_accuracy for one in history]
    return accuracies.index(max(accuracies)) + 1


def test_the_last_the_best_and_the_best_before_each_decision_stay(tmp_path):
    facts = ImageFacts(image_shape=(1, 8, 8), classes=10, mean=(0.0,), std=(1.0,))
    kept = KeptNetworks(tmp_path / "one", facts.to_dict())
    accuracies = [10, 30, 20, 20, 40, 40, 35, 50, 45]
    stay = [{1}, {2}, {2, 3}, {2, 4}, {2, 5}, {2, 5, 6}, {2, 5, 7}, {2, 8}, {2, 8, 9}]
    history = History()
    for epoch, (accuracy, expected) in enumerate(zip(accuracies, stay, strict=True), 1):
        decision = "grows" if epoch == 3 else None
        one = record(epoch, val_accuracy=float(accuracy), key=str(epoch), decision=decision)
        history = history.plus(one)
        kept.trained(history, torch.nn.Linear(1, 1))
        assert files(tmp_path / "one") == set(map(str, expected))


def trained(tmp_path, name, store, **options):
    config = TrialConfig(**{**SHORT, **options})
    trainer = Trainer(config, store=store, name=name)
    trainer.keep_networks(tmp_path / "networks" / name)
    list(trainer)
    return trainer


@pytest.mark.parametrize(
    "place", first_quick(["a store", "none", "a store that keeps no state"], 1, slow=0)
)
def test_a_trial_without_states_in_a_store_has_its_networks(tmp_path, place):
    store = None
    if place != "none":
        store = EpochStore(str(tmp_path / "store"))
    trainer = trained(tmp_path, "a", store, growth_epochs=(2, 4))
    if place == "a store that keeps no state":
        assert store
        collect(store, 0)
    assert is_found(trainer, tmp_path / "networks", 6)
    assert is_found(trainer, tmp_path / "networks", best_epoch(trainer.history))


@pytest.mark.long
@pytest.mark.parametrize("case", [([3, 5, 2, 4], "last"), ([5, 4, 3, 2], "forks")], ids=str)
def test_trials_that_share_epochs_have_the_networks_of_their_best_and_last(tmp_path, case):
    """Each has epochs that another has trained, and the best epoch is one of these for some."""
    order, keep_states = case
    store = EpochStore(str(tmp_path / "store"))
    shared = 0
    for seed in (0, 1):
        for growth in order:
            config = TrialConfig(**SHORT, growth_epochs=(growth,), seed=seed)
            name = f"{seed}-{growth}"
            trainer = Trainer(config, store=store, name=name, keep_states=keep_states)
            trainer.keep_networks(tmp_path / "networks" / name)
            list(trainer)
            best = best_epoch(trainer.history)
            shared += trainer.history[best - 1].reused
            assert is_found(trainer, tmp_path / "networks", 6)
            assert is_found(trainer, tmp_path / "networks", best)
    assert shared


@pytest.mark.slow
def test_a_trial_that_was_killed_has_the_networks_of_an_undisturbed_one(tmp_path):
    store = EpochStore(str(tmp_path / "store"))
    config = TrialConfig(**{**SHORT, "epochs": 4}, growth_epochs=(2,))
    killed = Trainer(config, store=store, name="a")
    killed.keep_networks(tmp_path / "networks" / "a")
    for _ in range(2):
        next(killed)
    unfinished = tmp_path / "networks/a" / f"{killed.history[-1].key}.safetensors.unfinished"
    unfinished.touch()  # as if it was killed while it wrote
    again = trained(tmp_path, "a", store, growth_epochs=(2,), epochs=4)
    undisturbed = trained(tmp_path / "other", "a", None, growth_epochs=(2,), epochs=4)
    assert files(tmp_path / "networks/a") == files(tmp_path / "other/networks/a")
    assert is_found(again, tmp_path / "networks", 4)
    assert undisturbed.history == again.history
    assert not unfinished.exists()


def test_a_trial_whose_other_epochs_were_shared_leaves_no_unfinished_file(tmp_path):
    store = EpochStore(str(tmp_path / "store"))
    whole = trained(tmp_path / "other", "a", store, policy="none", epochs=3)
    unfinished = tmp_path / "networks/b" / f"{whole.history[0].key}.safetensors.unfinished"
    unfinished.parent.mkdir(parents=True)
    unfinished.touch()  # b was killed while it wrote
    again = trained(tmp_path, "b", store, policy="none", epochs=3)
    assert all(one.reused for one in again.history)
    assert not unfinished.exists()


def test_a_network_that_cannot_be_kept_is_said_once_and_stops_nothing(tmp_path, caplog):
    (tmp_path / "networks").write_text("not a folder")
    trainer = trained(tmp_path, "a", None, policy="none", epochs=2)
    assert len(trainer.history) == 2
    assert caplog.text.count("a network cannot be kept") == 1


def test_a_damaged_file_counts_as_none(tmp_path, caplog):
    trained(tmp_path, "a", None, policy="none", epochs=1)
    (path,) = (tmp_path / "networks/a").iterdir()
    path.write_bytes(path.read_bytes()[:1000])
    assert kept_weights(tmp_path / "networks", path.stem) is None
    assert "cannot be read" in caplog.text
