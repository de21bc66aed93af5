"""Trials in two processes, which torchrun starts as a user would."""

import copy
import re
import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F

from growsearch.study.results import read_study
from growsearch.trainer import Trainer
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import EpochRecord

pytestmark = pytest.mark.long

FIELDS = {
    "train_size": 205, "epochs": 4, "lr": 0.1, "policy": "fixed", "growth_epochs": 2,
    "precision": "float32", "initializer": "adam", "device": "cpu", "clip_norm": 0.5,
    "warmup": 1.5,
}  # fmt: skip
KEEPS_STATES = """
import sys, torch
from pathlib import Path
from growsearch import Trainer, TrialConfig
from growsearch.machine.processes import joined

with joined() as processes:
    trainer, states = Trainer(TrialConfig.from_flat(eval(sys.argv[2]))), []
    for record in trainer:
        contents = trainer.state.network.state_dict()
        states.append({name: tensor.clone() for name, tensor in contents.items()})
    records = [record.to_dict() for record in trainer.history]
    torch.save((records, states), f"{sys.argv[1]}/{processes.rank}.pt")
threads = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
print(f"{processes.rank} leaves {[name for name in threads if 'gloo' in name]}", flush=True)
"""


GROWS_TOO_FAR = """
import resource, sys
from growsearch import Trainer, TrialConfig
from growsearch.machine.processes import joined

with joined() as processes:
    trainer = Trainer(TrialConfig.from_flat(eval(sys.argv[1])))
    next(trainer)
    if processes.rank == 1:
        there = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (there + 2**28, resource.RLIM_INFINITY))
    statuses = [str(record.status) for record in trainer]
    print(f"{processes.rank}: {statuses} {trainer.reason}", flush=True)
"""


def torchrun(*arguments):
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [sys.executable, "-m", *launcher, *map(str, arguments)], capture_output=True, text=True
    )


def train(*arguments):
    fields = [text for name, v in FIELDS.items() for text in (f"--{name.replace('_', '-')}", v)]
    return torchrun("-m", "growsearch", "train", *fields, *arguments)


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """For each process: its records, and its network after each epoch."""
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "keeps_states.py").write_text(KEEPS_STATES)
    done = torchrun(folder / "keeps_states.py", folder, FIELDS)
    assert done.returncode == 0, done.stderr
    # Threads left by the process group could abort the process at its exit.
    assert "0 leaves []" in done.stdout
    assert "1 leaves []" in done.stdout
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


def test_both_have_the_same_records_and_networks_and_grow_alike(ended):
    (records, states), (others, other_states) = ended
    assert [r["architecture"] for r in records] == ["2-2-2"] * 2 + ["4-4-4"] * len(records[2:])
    assert "initializing" in [r["phase"] for r in records]
    assert [EpochRecord(**r) for r in others] == [EpochRecord(**r) for r in records]
    for one, other in zip(states, other_states, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_an_epoch_takes_the_mean_of_the_gradients_of_both_shares(ended):
    """The reference: two networks each normalize their share of a batch and take the same steps."""
    (records, states), _ = ended
    trainer = Trainer(TrialConfig.from_flat(FIELDS))
    networks = [copy.deepcopy(trainer.state.network).train() for _ in range(2)]
    optimizers = [
        torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-4)
        for network in networks
    ]
    losses = []
    for step, batch in enumerate(trainer.task.dataset.training_batches(128, seed=0, epoch=1)):
        for optimizer in optimizers:  # the middles of two steps, in a warm-up of 1.5 epochs
            optimizer.param_groups[0]["lr"] = 0.1 * (0.25 + 0.5 * step) / 1.5
        for rank, network in enumerate(networks):
            network.zero_grad()
            logits, labels = network(batch.images[rank::2]), batch.labels[rank::2]
            loss = F.cross_entropy(logits, labels)
            loss.backward()
            losses.append(loss.item() * len(labels))
        for one, other in zip(*(network.parameters() for network in networks), strict=True):
            mean = (one.grad + other.grad) / 2
            one.grad, other.grad = mean, mean.clone()
        norms = [torch.nn.utils.clip_grad_norm_(n.parameters(), 0.5) for n in networks]
        assert norms[0] == norms[1] > 0.5
        for optimizer in optimizers:
            optimizer.step()
    for name, tensor in networks[0].state_dict().items():
        torch.testing.assert_close(states[0][name], tensor, rtol=1e-4, atol=1e-6)
    assert records[0]["lr"] == pytest.approx(0.1 * 0.5 / 1.5)
    assert records[0]["train_loss"] == pytest.approx(sum(losses) / 205, rel=1e-5)
    with torch.no_grad():
        found = trainer.task.evaluate(networks[0].eval(), "val")
    assert records[0]["val_loss"] == pytest.approx(found["loss"], rel=1e-5)
    assert records[0]["val_accuracy"] == pytest.approx(found["accuracy"], abs=0.34)


def test_one_of_them_writes_and_shows(ended, tmp_path):
    (records, _), _ = ended
    done = train("--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    study = read_study(tmp_path / "run")
    assert list(study["key"]) == [record["key"] for record in records]
    assert list(study["val_loss"]) == [record["val_loss"] for record in records]
    assert done.stdout.count("results  ") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="limits its own memory as Linux does")
def test_a_growth_beyond_the_memory_of_one_fails_on_both_with_the_last_epoch_safe(tmp_path):
    """2,000 blocks need 600 MB; the second process may use 256 MB."""
    (tmp_path / "grows.py").write_text(GROWS_TOO_FAR)
    changes = {"initializer": "default", "growth_architectures": "2-2-2000"}
    done = torchrun(tmp_path / "grows.py", FIELDS | changes)
    assert done.returncode == 0, done.stderr
    for rank in (0, 1):
        assert f"{rank}: ['failed'] out of memory at growth to 2-2-2000" in done.stdout


def test_they_go_on_where_they_were(ended, tmp_path):
    """They resume after the second epoch, before the new blocks are initialized."""
    (records, _), _ = ended
    out = tmp_path / "run"
    assert train("--out", out, "--save-every", 2).returncode == 0
    (out / "states/00002.safetensors").rename(out / "state.safetensors")
    done = torchrun("-m", "growsearch", "resume", out)
    assert done.returncode == 0, done.stderr
    shown = re.findall(r"^ *(\d+) +(\d-\d-\d) ", done.stdout, re.M)
    assert shown[0] == ("3", "4-4-4")
    assert [int(epoch) for epoch, _ in shown] == list(range(3, len(records) + 1))
    study = read_study(out)
    assert list(study["val_loss"]) == [record["val_loss"] for record in records]
    assert list(study["lipschitz"]) == [record["lipschitz"] for record in records]


def test_their_epochs_are_not_those_of_one_process(ended):
    (records, _), _ = ended
    alone = next(Trainer(TrialConfig.from_flat(FIELDS)))
    assert alone.key != records[0]["key"]


@pytest.mark.parametrize(("arguments", "message"), [
    (("--train-size", 130), "batch_size=128 leaves 1 of 130 training images for one of 2"),
    (("--store", "epochs"), "a trial of 2 processes cannot share epochs"),
])  # fmt: skip
def test_what_cannot_be_is_said(tmp_path, arguments, message):
    done = train("--out", tmp_path / "run", *arguments)
    assert done.returncode != 0
    assert f"growsearch train: error: {message}" in done.stderr
