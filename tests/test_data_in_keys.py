"""What of a user's own data, and of rates that the user's optimizer has, is in keys of epochs."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from growsearch.trainer import Trainer
from growsearch.trial.components import component, forgetting, register
from growsearch.trial.config import TrialConfig
from growsearch.trial.kinds import Schedule
from growsearch.trial.plugins import load_plugins

EXAMPLE = str(Path(__file__).parents[1] / "examples/mlp.py")
OPTIONS = {"task": "own", "policy": "none", "epochs": 2, "precision": "float32", "compile": "off"}


@pytest.fixture
def rings():
    load_plugins([EXAMPLE])
    with forgetting():
        yield component("task", "rings")


def as_given(x, y):
    return x, y


@pytest.mark.parametrize(
    "form",
    [as_given, lambda x, y: {"x": x, "y": [y]}, lambda x, y: (x.numpy(), y.numpy())],
)
def test_data_that_are_given_count_beyond_the_first_batches(rings, form):
    class Given(rings):
        def batches(self, split, seed, epoch):
            flat = self.loaded.values() if isinstance(self.loaded, dict) else self.loaded
            x, y = (torch.as_tensor(v[0] if isinstance(v, list) else v) for v in flat)
            yield from zip(x.split(8), y.split(8), strict=True)

    register("task", "own")(dataclass(frozen=True, kw_only=True)(Given))
    x, y = torch.randn(80, 2), torch.randint(3, (80,))
    changed = y.clone()
    changed[79] = (y[79] + 1) % 3
    config = TrialConfig(**OPTIONS)
    one, again, other = (
        Trainer(config, dataset=form(x, labels)).next_key for labels in (y, y.clone(), changed)
    )
    assert one == again != other


def test_files_behind_a_link_in_data_dir_count(rings, tmp_path):
    """A link to a folder that holds it ends."""
    real, data = tmp_path / "real", tmp_path / "data"
    real.mkdir()
    data.mkdir()
    (data / "train").symlink_to(real)
    (real / "up").symlink_to(tmp_path)
    (real / "x.bin").write_bytes(b"1")
    config = TrialConfig(**OPTIONS | {"task": "rings", "data_dir": str(data)})
    before = config.task.data_digest()
    assert config.task.data_digest() == before
    (real / "x.bin").write_bytes(b"22")
    assert config.task.data_digest() != before


def test_a_rate_of_a_group_of_its_own_is_in_the_keys_under_a_schedule_without_lr(rings):
    class Table(Schedule):
        reads_data = False

        def rate(self, trial, history, lr):
            return 0.1

    class Headed(rings):
        def optimizer(self, model):
            head = {"params": model.last.parameters(), "lr": 0.02}
            body = {"params": [*model.first.parameters(), *model.blocks.parameters()]}
            return torch.optim.SGD([body, head], lr=self.trial.lr)

    register("lr_schedule", "table")(dataclass(frozen=True, kw_only=True)(Table))
    register("task", "own")(dataclass(frozen=True, kw_only=True)(Headed))
    records = {}
    for task in ("own", "rings"):
        configs = (
            TrialConfig(**OPTIONS | {"task": task, "lr": lr, "lr_schedule": "table"})
            for lr in (0.1, 0.2)
        )
        records[task] = [next(Trainer(config)) for config in configs]
    one, other = records["own"]
    assert one.train_loss != other.train_loss and one.key != other.key
    one, other = records["rings"]
    assert one.train_loss == other.train_loss and one.key == other.key
