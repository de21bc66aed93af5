import gzip
import http.server
import re
import struct
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from growsearch import data
from growsearch.data import load_dataset, read_idx
from growsearch.errors import InputError

NAMES = ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"]


def idx_bytes(array: np.ndarray) -> bytes:
    shape = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes((0, 0, 8, array.ndim)) + shape + array.tobytes()


def write_fashion(folder: Path, gzipped: bool) -> dict[str, np.ndarray]:
    """A data set in Fashion-MNIST's format, 6,000 and 50 images, all different."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 6000), ("t10k", 50)):
        arrays[f"{split}-images-idx3"] = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        arrays[f"{split}-labels-idx1"] = np.arange(n, dtype=np.uint8) % 10
    for name, array in arrays.items():
        content = idx_bytes(array)
        path = folder / f"{name}-ubyte{'.gz' if gzipped else ''}"
        path.write_bytes(gzip.compress(content, 1) if gzipped else content)
    return arrays


@pytest.fixture
def fashion(tmp_path):
    write_fashion(tmp_path / "fashion", gzipped=True)
    return tmp_path / "fashion"


def image_set(images) -> set[bytes]:
    return {image.numpy().tobytes() for image in images.images}


def test_digits_are_scikit_learns_in_three_disjoint_splits():
    digits = load_dataset("digits")
    splits = [digits.train, digits.val, digits.test]
    assert [len(split) for split in splits] == [1197, 300, 300]
    everything = torch.cat([split.images for split in splits]).reshape(1797, -1)
    original = torch.tensor(load_digits().data, dtype=torch.uint8)
    rows = [sorted(map(bytes, array.numpy())) for array in (everything, original)]
    assert rows[0] == rows[1]
    for split in (digits.val, digits.test):
        assert split.labels.bincount().tolist() == [30] * 10


@pytest.mark.parametrize("name", ["digits", "fashion-mnist"])
def test_training_images_are_normalized_to_mean_0_and_deviation_1(name):
    if name == "fashion-mnist" and not data._has_idx_files(data.DEBIAN_FASHION_MNIST):
        pytest.skip("apt-get install dataset-fashion-mnist")
    dataset = load_dataset(name)
    batches = dataset.evaluation_batches(dataset.train, 1000)
    images = torch.cat([batch.images for batch in batches])
    assert images.mean().item() == pytest.approx(0, abs=2e-3)
    assert images.std().item() == pytest.approx(1, abs=2e-3)


@pytest.mark.skipif(
    not data._has_idx_files(data.DEBIAN_FASHION_MNIST),
    reason="apt-get install dataset-fashion-mnist",
)
def test_debians_fashion_mnist_is_found_without_being_named():
    dataset = load_dataset("fashion-mnist")
    assert [len(dataset.train), len(dataset.val), len(dataset.test)] == [55_000, 5_000, 10_000]
    assert dataset.image_shape == (1, 28, 28)
    assert dataset.val.labels.bincount().tolist() == [500] * 10
    assert dataset.test.labels.bincount().tolist() == [1000] * 10
    assert len(image_set(dataset.val) & image_set(dataset.test)) == 0


@pytest.mark.parametrize("below", ["", "FashionMNIST/raw"])
@pytest.mark.parametrize("gzipped", [True, False])
def test_data_dir_may_hold_the_files_or_be_a_torchvision_root(tmp_path, below, gzipped):
    root = tmp_path / "data"
    arrays = write_fashion(root / below, gzipped)
    dataset = load_dataset("fashion-mnist", str(root))
    assert np.array_equal(dataset.test.images[:, 0].numpy(), arrays["t10k-images-idx3"])
    assert np.array_equal(dataset.test.labels.numpy(), arrays["t10k-labels-idx1"])
    both = image_set(dataset.train) | image_set(dataset.val)
    assert both == {image.tobytes() for image in arrays["train-images-idx3"]}


def test_a_missing_data_set_is_downloaded_by_torchvision(tmp_path, monkeypatch):
    """torchvision's own code, from a server on this machine."""
    from torchvision.datasets import FashionMNIST
    from torchvision.datasets.utils import calculate_md5

    served = tmp_path / "served"
    write_fashion(served, gzipped=True)
    files = [f"{name}-ubyte.gz" for name in NAMES]
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(quiet, directory=str(served))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mirror = f"http://127.0.0.1:{server.server_address[1]}/"
        monkeypatch.setattr(FashionMNIST, "mirrors", [mirror])
        monkeypatch.setattr(
            FashionMNIST, "resources", [(name, calculate_md5(str(served / name))) for name in files]
        )
        monkeypatch.setattr(data, "DEBIAN_FASHION_MNIST", tmp_path / "none")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        load_dataset.cache_clear()
        try:
            assert len(load_dataset("fashion-mnist").test) == 50
        finally:
            server.shutdown()
            load_dataset.cache_clear()


def test_a_failed_download_names_both_remedies(tmp_path, monkeypatch):
    from torchvision.datasets import FashionMNIST

    monkeypatch.setattr(FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])
    monkeypatch.setattr(data, "DEBIAN_FASHION_MNIST", tmp_path / "none")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    load_dataset.cache_clear()
    with pytest.raises(InputError, match=r"apt-get install dataset-fashion-mnist.*data_dir") as e:
        load_dataset("fashion-mnist")
    assert "\n" not in str(e.value)


def test_a_folder_that_is_not_there_or_lacks_files_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere' is not a folder"):
        load_dataset("fashion-mnist", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"lacks Fashion-MNIST's files: train-images-idx3-ubyte"):
        load_dataset("fashion-mnist", str(tmp_path))


def damage(path: Path, how: str) -> None:
    raw = gzip.decompress(path.read_bytes())
    damaged = {
        "cut archive": path.read_bytes()[:-100],
        "no archive": b"<html>not found</html>",
        "cut values": gzip.compress(raw[:-1], 1),
        "cut header": gzip.compress(raw[:7], 1),
        "other type": gzip.compress(bytes((0, 0, 13, 3)) + raw[4:], 1),
        "one more": gzip.compress(raw + b"x", 1),
    }
    path.write_bytes(damaged[how])


@pytest.mark.parametrize(
    "how", ["cut archive", "no archive", "cut values", "cut header", "other type", "one more"]
)
def test_a_damaged_file_is_named_with_the_remedy(fashion, how):
    path = fashion / "train-images-idx3-ubyte.gz"
    damage(path, how)
    with pytest.raises(InputError, match="get the file again") as caught:
        load_dataset("fashion-mnist", str(fashion))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_labels_that_do_not_fit_the_images_are_named(fashion):
    labels = fashion / "t10k-labels-idx1-ubyte.gz"
    labels.write_bytes(gzip.compress(idx_bytes(np.zeros(49, np.uint8))))
    with pytest.raises(InputError, match=r"50 images but .*49 labels"):
        load_dataset("fashion-mnist", str(fashion))
    labels.write_bytes(gzip.compress(idx_bytes(np.full(50, 10, np.uint8))))
    load_dataset.cache_clear()
    with pytest.raises(InputError, match="label 10, but there are 10 classes"):
        load_dataset("fashion-mnist", str(fashion))


def test_idx_values_are_read_in_c_order(tmp_path):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "file").write_bytes(idx_bytes(array))
    assert np.array_equal(read_idx(tmp_path / "file", dimensions=3).numpy(), array)


@pytest.mark.parametrize("size", [1, 7, 10, 500, 1196, 1197])
def test_a_subset_is_balanced_drawn_from_the_seed_and_made_of_training_images(size):
    digits = load_dataset("digits")
    subset = digits.subset(size, seed=3)
    counts = subset.train.labels.bincount(minlength=10)
    assert counts.sum() == size
    available = digits.train.labels.bincount()
    spare = counts < available
    assert counts.max() - counts[spare].min() <= 1 if spare.any() else size == 1197
    assert image_set(subset.train) <= image_set(digits.train)
    assert torch.equal(subset.train.images, digits.subset(size, seed=3).train.images)
    if 10 <= size <= 1000:
        assert not torch.equal(subset.train.images, digits.subset(size, seed=4).train.images)
    assert subset.val is digits.val


def test_a_subset_larger_than_the_data_is_an_error():
    with pytest.raises(InputError, match=re.escape("at most 1197")):
        load_dataset("digits").subset(1198, seed=0)


def epoch_of(dataset, seed, epoch):
    batches = list(dataset.training_batches(64, seed, epoch))
    return torch.cat([b.images for b in batches]), torch.cat([b.labels for b in batches])


def test_an_epoch_is_drawn_from_seed_and_epoch_alone():
    digits = load_dataset("digits")
    torch.manual_seed(1)
    images, labels = epoch_of(digits, seed=0, epoch=5)
    epoch_of(digits, seed=0, epoch=6)
    torch.manual_seed(2)
    again, _ = epoch_of(digits, seed=0, epoch=5)
    assert torch.equal(images, again)
    for other in ({"seed": 0, "epoch": 6}, {"seed": 1, "epoch": 5}):
        assert not torch.equal(labels, epoch_of(digits, **other)[1])
    assert labels.bincount().tolist() == digits.train.labels.bincount().tolist()


def test_augmented_images_are_their_originals_shifted_or_mirrored(fashion):
    """Each training image is looked up among all shifts and flips of its originals."""
    from dataclasses import replace

    crop, flip = load_dataset("digits"), load_dataset("fashion-mnist", str(fashion))
    for dataset, pad, mirror in ((crop, 1, False), (flip, 0, True)):
        dataset = dataset.subset(300, seed=0)
        raw = replace(dataset, mean=0.0, std=1.0)
        possible: dict[bytes, list[tuple[int, int, bool]]] = {}
        height, width = dataset.image_shape[1:]
        for image in dataset.train.images[:, 0].numpy():
            padded = np.pad(image, pad)
            for down in range(2 * pad + 1):
                for right in range(2 * pad + 1):
                    for mirrored in (False, True) if mirror else (False,):
                        cut = padded[down : down + height, right : right + width]
                        cut = cut[:, ::-1] if mirrored else cut
                        possible.setdefault(cut.tobytes(), []).append((down, right, mirrored))
        images, _ = epoch_of(raw, seed=0, epoch=1)
        found = [
            possible[(image * dataset.pixel_max).round().to(torch.uint8).numpy().tobytes()]
            for image in images[:, 0]
        ]
        seen = {way for ways in found for way in ways}
        assert seen == {way for ways in possible.values() for way in ways}
