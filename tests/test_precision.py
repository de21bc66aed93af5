import copy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from growsearch.epochs.store import EpochStore
from growsearch.machine.precision import check_precision
from growsearch.tasks.images.lipschitz import lipschitz_constants
from growsearch.trainer import Trainer
from growsearch.training.auto_precision import VARIABLE, auto_precision, bfloat16_speedup
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def in_bfloat16():
    config = TrialConfig(
        train_size=200, epochs=4, lr=0.1, policy="fixed", growth_epochs=2, precision="bfloat16"
    )  # fmt: skip
    return config, list(Trainer(config))


@pytest.mark.slow
def test_a_bfloat16_trial_again_is_the_same_to_the_last_bit(in_bfloat16, tmp_path):
    config, records = in_bfloat16
    trainer = Trainer(config)
    assert [next(trainer), next(trainer)] == records[:2]
    trainer.save(tmp_path / "state.safetensors")
    assert list(Trainer.load(tmp_path / "state.safetensors")) == records[2:]


def test_precision_is_recorded_and_part_of_the_key(in_bfloat16, tmp_path):
    config, records = in_bfloat16
    store = EpochStore(str(tmp_path / "epochs"))
    assert list(Trainer(config, store=store)) == records
    other = Trainer(replace(config, precision="float32"), store=store)
    record = next(other)
    assert not other.recalled
    assert (record.precision, records[0].precision) == ("float32", "bfloat16")
    assert record.key != records[0].key
    assert record.train_loss == pytest.approx(records[0].train_loss, rel=0.02)
    assert record.train_loss != records[0].train_loss


def test_a_bfloat16_epoch_is_torchs_autocast_over_float32_weights():
    """The reference trains a copy of the network for an epoch; only the classifier is float32."""
    trainer = Trainer(TrialConfig(policy="none", train_size=200, lr=0.1, precision="bfloat16"))
    reference = copy.deepcopy(trainer.state.network).train()
    next(trainer)
    sgd = torch.optim.SGD(reference.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-4)
    for batch in trainer.task.dataset.training_batches(128, seed=0, epoch=1):
        with torch.autocast("cpu", torch.bfloat16):
            features = reference.features(batch.images)
        assert features.dtype == torch.bfloat16
        logits = reference.classifier(features.float().mean(dim=(2, 3)))
        sgd.zero_grad()
        F.cross_entropy(logits, batch.labels).backward()
        sgd.step()
    trained = trainer.state.network.state_dict()
    for name, tensor in reference.state_dict().items():
        assert torch.equal(trained[name], tensor), name


def test_what_is_kept_of_a_bfloat16_trial_is_float32(in_bfloat16):
    config, records = in_bfloat16
    trainer = Trainer(config)
    next(trainer)
    vectors = {name: v.clone() for name, v in trainer.state.lipschitz_vectors.items()}
    trainer.state.lipschitz_vectors.clear()
    constants = lipschitz_constants(trainer.state.network, (8, 8), {}, config.seed)
    assert constants.mean == records[0].lipschitz
    momenta = [s["momentum_buffer"] for s in trainer.state.optimizer.state.values()]
    floats = [t for t in trainer.state.network.state_dict().values() if t.is_floating_point()]
    assert {t.dtype for t in (*momenta, *floats, *vectors.values())} == {torch.float32}


def test_logits_are_float32_so_that_no_two_tie(in_bfloat16):
    trainer = Trainer(in_bfloat16[0])
    images = next(trainer.task.dataset.evaluation_batches(trainer.task.dataset.val, 100)).images
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        assert trainer.state.network.eval()(images).dtype == torch.float32


def test_a_trial_says_what_auto_came_to_and_goes_on_with_it(tmp_path, monkeypatch):
    config = TrialConfig(train_size=200, epochs=3, lr=0.1, policy="none")
    records = list(Trainer(config))
    trainer = Trainer(config)
    next(trainer)
    assert (config.precision, trainer.config.precision) == ("auto", "float32")
    trainer.save(tmp_path / "state.safetensors")
    monkeypatch.setenv(VARIABLE, "bfloat16")
    assert Trainer(config).config.precision == "bfloat16"
    assert list(Trainer.load(tmp_path / "state.safetensors")) == records[1:]


def test_auto_is_measured_once_for_a_machine(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    measured = auto_precision(CPU)
    (answer,) = (tmp_path / "growsearch" / "precision").iterdir()
    assert answer.read_text() == f'"{measured}"'
    other = {"float32": "bfloat16", "bfloat16": "float32"}[measured]
    answer.write_text(f'"{other}"')
    assert auto_precision(CPU) == other
    answer.write_text("cut sho")
    again = auto_precision(CPU)
    assert answer.read_text() == f'"{again}"'


def test_where_nothing_can_be_remembered_it_is_measured(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE)
    (tmp_path / "growsearch").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert auto_precision(CPU) in ("float32", "bfloat16")


def test_measuring_leaves_threads_and_random_numbers_alone():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    assert bfloat16_speedup(seconds=0) > 0
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_bfloat16_on_a_gpu_that_has_none_is_one_line(monkeypatch):
    for name, value in (("capability", (7, 5)), ("name", "Tesla T4")):
        monkeypatch.setattr(torch.cuda, f"get_device_{name}", lambda device, value=value: value)
    gpu = torch.device("cuda")
    check_precision("float32", gpu)
    with pytest.raises(
        InputError, match=r"capability 8\.0, but Tesla T4 has 7\.5; use .*'float32'"
    ):
        check_precision("bfloat16", gpu)
    monkeypatch.delenv(VARIABLE)
    assert auto_precision(gpu) == "float32"


def test_an_unknown_precision_is_one_line(monkeypatch):
    with pytest.raises(InputError, match=r"unknown precision 'bf16'; .*bfloat16"):
        TrialConfig(precision="bf16")
    monkeypatch.setenv(VARIABLE, "half")
    with pytest.raises(InputError, match=r"unknown GROWSEARCH_PRECISION 'half'; .*float32"):
        auto_precision(CPU)
