from dataclasses import replace

import numpy as np
import pytest
import torch

from growsearch.tasks.images.loading import load_dataset
from growsearch.tasks.images.mapped import HostImages, mapped, placed
from growsearch.trainer import Trainer
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError

PICTURES = np.arange(6 * 3 * 4 * 4, dtype=np.uint8).reshape(6, 3, 4, 4)


def in_file(path, images):
    pixels = mapped(path, tuple(images.images.shape), lambda: iter([images.images.numpy()]))
    return HostImages(pixels, torch.arange(len(images)), images.labels)


@pytest.fixture
def on_host(tmp_path):
    """The digits, with each split mapped from a file."""
    dataset = load_dataset("digits")
    names = ("train", "val", "test")
    return replace(
        dataset,
        **{name: in_file(tmp_path / f"{name}.npy", getattr(dataset, name)) for name in names},
    )


@pytest.mark.slow
def test_a_trial_on_mapped_images_is_the_trial_on_those_in_memory(on_host, small):
    """This covers subset, augmentation, evaluation, growth, and the key of each epoch."""
    config = TrialConfig(**small)
    assert list(Trainer(config, dataset=on_host)) == list(Trainer(config))


def test_parts_of_parts_are_the_same_images(on_host):
    dataset = load_dataset("digits")
    index = torch.tensor([5, 3, 99, 3])
    one, other = (d.train[index][torch.tensor([2, 0])] for d in (dataset, on_host))
    assert torch.equal(one.images, other.images)
    assert torch.equal(one.labels, other.labels)
    assert one.digest == other.digest
    assert one.padded(12).digest == other.padded(12).digest


def test_a_part_takes_no_memory_of_its_own(on_host):
    part = placed(on_host.train[torch.arange(100)], torch.device("cpu"))
    assert part.pixels.data_ptr() == on_host.train.pixels.data_ptr()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")
def test_on_a_gpu_they_are_resident_if_they_fit_and_else_sent_batch_by_batch(on_host, monkeypatch):
    gpu = torch.device("cuda")
    assert placed(on_host.train, gpu).images.device.type == "cuda"
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 1000))
    dataset = load_dataset("digits")
    for split in (on_host.train, dataset.train):
        sent = placed(split, gpu)
        assert sent.home.type == "cpu"
        batch = next(sent.batches(10))
        assert batch.images.device.type == batch.labels.device.type == "cuda"
        assert torch.equal(batch.images.cpu(), dataset.train.images[:10])


def test_a_file_is_written_once(tmp_path):
    asked = []

    def parts():
        asked.append(1)
        return iter(PICTURES)

    for _ in range(2):
        array = mapped(tmp_path / "new" / "a.npy", PICTURES.shape, parts)
        assert np.array_equal(array.numpy(), PICTURES)
    assert len(asked) == 1
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.npy"]


def test_a_picture_that_cannot_be_read_leaves_no_file(tmp_path):
    def parts():
        yield PICTURES[0]
        raise InputError("damaged")

    with pytest.raises(InputError, match="damaged"):
        mapped(tmp_path / "a.npy", PICTURES.shape, parts)
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written_images_are_in_memory(tmp_path, caplog):
    (tmp_path / "file").touch()
    array = mapped(tmp_path / "file" / "a.npy", PICTURES.shape, lambda: iter(PICTURES))
    assert np.array_equal(array.numpy(), PICTURES)
    assert "cannot be written" in caplog.text
    assert "images stay in memory" in caplog.text
