import pytest
import torch

from growsearch.epochs.store import EpochStore
from growsearch.trainer import Trainer
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError


@pytest.fixture
def config():
    return TrialConfig(
        train_size=136, epochs=3, lr=0.1, architecture="1-1-1", policy="fixed",
        initializer="default", growth_epochs=1, growth_architectures="1-1-2", compile="on",
    )  # fmt: skip


# torch hides this warning, except where warnings are errors
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.slow
def test_a_compiled_trial_trains_the_same_epochs_but_for_rounding(config, tmp_path):
    """Batches have 128 and 8 images. A saved trial continues bit-exactly."""
    store = EpochStore(str(tmp_path / "epochs"))
    trainer = Trainer(config, store=store)
    first, second = next(trainer), next(trainer)
    trainer.save(tmp_path / "state.safetensors")
    third = next(trainer)
    assert list(Trainer.load(tmp_path / "state.safetensors")) == [third]
    plain = list(Trainer(TrialConfig.from_flat(config.to_flat() | {"compile": "off"}), store=store))
    assert not any(record.reused for record in plain)
    assert second.architecture == "1-1-2"
    for one, other in zip((first, second, third), plain, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=1e-3)
        assert one.macs == other.macs
    compiled = torch._dynamo.utils.counters["frames"]
    assert compiled["ok"] == compiled["total"] > 0


def test_without_a_compiler_the_error_says_so(config, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(InputError, match="'on' needs a C\\+\\+ compiler, but no-such-compiler"):
        Trainer(config)
