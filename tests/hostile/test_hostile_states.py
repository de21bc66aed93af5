"""A saved state of a stranger runs no code, takes no more memory than its size, and is named."""

import os
import pickle
import shutil
import tracemalloc
import zipfile
from pathlib import Path

import pytest
import torch
from conftest import run

from growsearch.machine.saved import load_tensors, save_tensors
from growsearch.study.folder import create_study
from growsearch.study.results import write_trial
from growsearch.trainer import Trainer
from growsearch.training.state import TrainState
from growsearch.trial.config import TrialConfig

KEY = "ab" + "0" * 30


def refused(capsys, *arguments) -> str:
    """The one line with which a command refuses."""
    code, _, err = run(capsys, *arguments)
    assert (code, err.count("\n")) == (2, 1), err
    return err


class Runs:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.write_text, (self.path, "ran")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folder of a trial of two epochs, of which the first has been trained."""
    folder = create_study(
        tmp_path_factory.mktemp("one") / "study", command="train", searched=[], trials=1
    )
    trainer = Trainer(TrialConfig(policy="none", train_size=100, epochs=2))
    next(trainer)
    write_trial(folder, "one", trainer.config, trainer.history)
    trainer.save(folder / "state.safetensors")
    return folder


def moments(optimizer, change):
    """The state of an optimizer with the momentum of its first parameter changed."""
    state = dict(optimizer["state"])
    state[0] = state[0] | {"momentum_buffer": change(state[0]["momentum_buffer"])}
    return optimizer | {"state": state}


def without(name):
    return lambda c: {n: v for n, v in c.items() if n != name}


@pytest.mark.parametrize("save", [save_tensors, torch.save])
@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda c: c | {"history": []}, "is of no epoch"),
        (lambda c: c | {"history": [c["history"][0] | {"key": KEY}]}, "has other epochs"),
        (lambda c: c | {"history": 7}, "is damaged"),
        (lambda c: c | {"history": [{"speed": 1}]}, "is damaged"),
        (lambda c: c | {"phase": "asleep"}, "its phase is 'asleep'"),
        (lambda c: c | {"config": None}, "is damaged"),
        (lambda c: c | {"optimizer": 7}, "does not fit its trial"),
        (lambda c: c | {"network": {}}, "does not fit its trial"),
        (lambda c: c | {"network": {n: v[:1] for n, v in c["network"].items() if v.dim()}},
         "does not fit its trial"),
        (lambda c: c | {"optimizer": moments(c["optimizer"], lambda v: v.flatten()[:4])},
         "does not fit its trial"),
        (lambda c: c | {"optimizer": moments(c["optimizer"], lambda v: v[..., None])},
         "does not fit its trial"),
        (without("phase"), "it lacks phase"),
        (without("network"), "it lacks network"),
        (without("config"), "is damaged"),
        (lambda c: [c], "it holds no dict"),
        (lambda c: torch.zeros(3), "it holds no dict"),
    ],
)  # fmt: skip
def test_a_state_that_is_none_of_the_trial_is_named_with_the_remedy(
    saved, tmp_path, capsys, change, what, save
):
    folder = shutil.copytree(saved, tmp_path / "copy")
    path = folder / "state.safetensors"
    save(change(load_tensors(path)), path)
    err = refused(capsys, "resume", folder)
    assert what in err
    assert "; restore" in err or "; give" in err


def test_a_state_is_not_unpickled_and_not_inflated(saved, tmp_path, capsys):
    """An archive of 16 MiB of zeros takes 16 kB; a pickle would run code."""
    folder = shutil.copytree(saved, tmp_path / "copy")
    path, proof = folder / "state.safetensors", tmp_path / "proof"
    torch.save({"network": Runs(proof)}, path)
    assert "is not a saved state" in refused(capsys, "resume", folder)
    path.write_bytes(pickle.dumps(Runs(proof)))
    assert "is not a saved state" in refused(capsys, "resume", folder)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(2**24))
    assert "it is compressed" in refused(capsys, "resume", folder)
    assert not proof.exists()
    path.unlink()
    os.mkfifo(path)
    assert "is neither file nor folder" in refused(capsys, "resume", folder)


class Allocates:
    """Makes bytes, far more than its file has, when it is unpickled."""

    def __reduce__(self):
        return bytearray, (2**28,)


def test_a_state_that_would_take_more_memory_than_its_file_is_refused(tmp_path):
    """torch's own reading without code allows the call, and finds the directory elsewhere."""
    path = tmp_path / "state.safetensors"
    torch.save({"network": Allocates()}, path)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"it calls '(__builtin__|builtins) bytearray'"):
        load_tensors(path)
    torch.save({"network": torch.zeros(5)}, path)
    assert torch.equal(load_tensors(path)["network"], torch.zeros(5))
    whole = path.read_bytes()
    record = whole[-98:-42]  # a second record, at which the locator does not point
    for changed in (
        whole[:-42] + record + whole[-42:],
        b"before" + whole,
        whole + b"after",
        whole[:-20],
    ):
        path.write_bytes(changed)
        with pytest.raises((ValueError, zipfile.BadZipFile)):
            load_tensors(path)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


@pytest.mark.parametrize("save", [save_tensors, torch.save])
def test_a_bit_that_changes_in_a_saved_state_is_noticed(tmp_path, save):
    path, weights = tmp_path / "state.safetensors", torch.linspace(0, 1, 3000)
    save({"network": {"weight": weights}, "phase": "training"}, path)
    content, noticed = path.read_bytes(), 0
    for bit in torch.randint(len(content) * 8, (200,), generator=torch.manual_seed(0)).tolist():
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(changed)
        try:
            found = load_tensors(path)
        except Exception:  # of many types
            noticed += 1
        else:
            assert found["phase"] == "training"
            assert torch.equal(found["network"]["weight"], weights)
    assert noticed > 150


@pytest.mark.parametrize("change", [lambda v: v[:1], lambda v: v.flatten()[:4], lambda v: v[None]])
def test_moments_of_other_shapes_are_refused_before_a_fused_step_reads_beyond_them(change):
    """torch loads them, and its fused AdamW ends the process."""
    trial = TrialConfig(policy="none", train_size=100, epochs=2, optimizer="adamw")
    trainer = Trainer(trial)
    next(trainer)
    contents = trainer.state.contents()
    restored = TrainState.restored(contents, trainer.history, trainer.task)
    assert restored.optimizer.state_dict()["state"].keys() == contents["optimizer"]["state"].keys()
    for name in ("exp_avg", "exp_avg_sq"):
        kept = contents["optimizer"]["state"][0]
        changed = {**contents["optimizer"]["state"], 0: kept | {name: change(kept[name])}}
        optimizer = contents["optimizer"] | {"state": changed}
        with pytest.raises(RuntimeError, match=f"{name} of shape"):
            TrainState.restored(contents | {"optimizer": optimizer}, trainer.history, trainer.task)


def test_moments_that_repeat_one_number_in_memory_are_read_as_tensors_of_their_own():
    trial = TrialConfig(policy="none", train_size=100, epochs=2, optimizer="adamw")
    trainer = Trainer(trial)
    next(trainer)
    contents = trainer.state.contents()
    kept = contents["optimizer"]["state"][0]
    flat = torch.zeros(1, dtype=kept["exp_avg"].dtype).expand(kept["exp_avg"].shape)
    changed = {**contents["optimizer"]["state"], 0: kept | {"exp_avg": flat}}
    optimizer = contents["optimizer"] | {"state": changed}
    restored = TrainState.restored(
        contents | {"optimizer": optimizer}, trainer.history, trainer.task
    )
    for parameter, state in restored.optimizer.state.items():
        assert state["exp_avg"].stride() == parameter.stride()
