"""Data sets in memory that trial processes share."""

import shutil
import struct
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import RECORD, once, plain

from growsearch.cli import main
from growsearch.study.results import config_of, read_study
from growsearch.tasks.images.loading import load_dataset
from growsearch.trainer import Trainer
from growsearch.trial.config import TrialConfig
from growsearch.tuning.shared_data import shared_datasets

OPTIONS = {"dataset": "mnist", "policy": "none", "architecture": "1-1-1", "epochs": 1, "lr": 0.1}


@pytest.fixture(autouse=True, scope="module")
def _pickles(ray):
    # Workers cannot import this test file.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture
def mnist(tmp_path):
    """Random images in MNIST's format, 510 training images of each class."""
    folder, draw = tmp_path / "data", np.random.default_rng(0)
    folder.mkdir()
    for name, n in (("train", 5100), ("t10k", 100)):
        images = draw.integers(256, size=(n, 28, 28), dtype=np.uint8)
        for kind, values in (("images-idx3", images), ("labels-idx1", np.arange(n) % 10)):
            header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
            path = folder / f"{name}-{kind}-ubyte"
            path.write_bytes(header + values.astype(np.uint8).tobytes())
    return folder


class Holder:
    """A process that trains a trial."""

    def __init__(self, config: TrialConfig, datasets) -> None:
        self.dataset = datasets[config.task.load_key()]
        self.trainer = Trainer(config, dataset=self.dataset)

    def train(self):
        return [asdict(record) for record in self.trainer], self.dataset.digest

    def places(self):
        """(device, inode, offset, whether shared) of each tensor that the trial trains on."""
        trained = self.trainer.task.dataset
        splits = (trained.train, trained.val, trained.test)
        tensors = [tensor for split in splits for tensor in (split.images, split.labels)]
        return [_place(tensor.data_ptr()) for tensor in tensors]


def _place(address):
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, rights, offset, device, inode, *_ = line.split()
        start, end = (int(bound, 16) for bound in span.split("-"))
        if start <= address < end:
            return device, inode, int(offset, 16) + address - start, "s" in rights
    raise AssertionError(address)


@pytest.mark.slow
def test_two_trials_train_on_the_same_memory_as_each_alone(ray, mnist):
    configs = [TrialConfig(**OPTIONS, data_dir=str(mnist), seed=seed) for seed in (1, 2)]
    shared = ray.put(shared_datasets(configs))
    one, other = (ray.remote(Holder).remote(config, shared) for config in configs)
    places = ray.get(one.places.remote())
    assert ray.get(other.places.remote()) == places
    assert len(set(places)) == 6 and all(is_shared for *_, is_shared in places)
    digest = load_dataset("mnist", str(mnist)).digest
    for config, holder in zip(configs, (one, other), strict=True):
        records, left = ray.get(holder.train.remote())
        alone = [asdict(record) for record in Trainer(config)]
        assert [[plain(r[name]) for name in RECORD] for r in records] == [
            [plain(r[name]) for name in RECORD] for r in alone
        ]
        assert left == digest  # the trial did not write to the shared data


@pytest.mark.slow
@pytest.mark.long
def test_the_trials_of_a_search_do_not_read_files(ray, mnist, tmp_path):
    """The files are removed as soon as the search has written its log."""
    (tmp_path / "space.py").write_text(f"param_space = {OPTIONS | {'data_dir': str(mnist)}!r}")
    out = tmp_path / "study"

    arguments = ["search", f"{tmp_path}/space.py", "--trials", "1", "--out", str(out)]
    with once((out / "search.jsonl").exists, partial(shutil.rmtree, mnist)):
        assert main(arguments) == 0
    rows = read_study(out)
    alone = pd.DataFrame([vars(record) for record in Trainer(config_of(rows.iloc[0]))])
    pd.testing.assert_frame_equal(
        alone[RECORD].map(plain), rows[RECORD].map(plain), check_exact=True, check_dtype=False
    )


def test_what_streams_from_files_is_not_shared(tmp_path):
    from PIL import Image

    for split, n in (("train", 51), ("val", 2)):
        for label in ("n01", "n02"):
            (tmp_path / split / label).mkdir(parents=True)
            for i in range(n):
                Image.new("RGB", (8, 8)).save(tmp_path / split / label / f"{i}.JPEG")
    config = TrialConfig(dataset="imagenet", data_dir=str(tmp_path), network="basic4resnet")
    assert shared_datasets([config]) == {}
