import gzip
import hashlib
import http.server
import pickle
import re
import shutil
import struct
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.ndimage
import torch
from conftest import ROOT, task_of
from PIL import Image
from sklearn.datasets import load_digits
from torchvision import datasets as torchvision_datasets
from torchvision.transforms.functional import normalize

from growsearch import Trainer, TrialConfig, load_plugins
from growsearch.machine.cache import cache_folder
from growsearch.tasks.images import loading, tiny_imagenet
from growsearch.tasks.images import mnist as idx
from growsearch.tasks.images.augmentation import rotated
from growsearch.tasks.images.dataset import Dataset
from growsearch.tasks.images.images import Images
from growsearch.tasks.images.loading import load_dataset
from growsearch.tasks.images.mnist import has_idx_files, read_idx
from growsearch.tasks.images.spec import DataSpec
from growsearch.trial.components import component, components, forgetting
from growsearch.trial.errors import InputError
from growsearch.tuning.tuner import _check_data

NAMES = ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"]


def idx_bytes(array: np.ndarray) -> bytes:
    shape = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes((0, 0, 8, array.ndim)) + shape + array.tobytes()


def write_fashion(folder: Path, gzipped: bool) -> dict[str, np.ndarray]:
    """Writes Fashion-MNIST's format: 6,000 training and 50 test images, all different."""
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


@pytest.mark.parametrize(
    "shape", [(2**32 - 7, 2**32 - 5, 0), (2**31, 2**31, 4), (0, 28, 28), (1, 28, 29)]
)
def test_a_header_that_no_values_follow_is_refused(tmp_path, shape):
    """The sizes in the second come to 2**64, which is 0 in 64 bits."""
    header = bytes((0, 0, 8, 3)) + np.array(shape, ">u4").tobytes()
    (tmp_path / "images").write_bytes(header)
    with pytest.raises(InputError, match="0 bytes of values, but its header says"):
        read_idx(tmp_path / "images", 3)


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
    if name == "fashion-mnist" and not has_idx_files(idx.DEBIAN_FASHION_MNIST):
        pytest.skip("apt-get install dataset-fashion-mnist")
    dataset = load_dataset(name)
    batches = dataset.evaluation_batches(dataset.train, 1000)
    images = torch.cat([batch.images for batch in batches])
    assert images.mean().item() == pytest.approx(0, abs=2e-3)
    assert images.std().item() == pytest.approx(1, abs=2e-3)


@pytest.mark.skipif(
    not has_idx_files(idx.DEBIAN_FASHION_MNIST),
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


def test_a_data_set_can_be_made_of_another(tmp_path):
    arrays = write_fashion(tmp_path / "data", gzipped=True)
    with forgetting():
        load_plugins([str(ROOT / "examples/halved.py")])
        dataset = load_dataset("halved", str(tmp_path / "data"))
        fours = arrays["t10k-images-idx3"].reshape(-1, 14, 2, 14, 2).astype(float)
        assert np.array_equal(dataset.test.images[:, 0].numpy(), np.rint(fours.mean((2, 4))))
        assert np.array_equal(dataset.test.labels.numpy(), arrays["t10k-labels-idx1"])
        few = TrialConfig(dataset="halved", data_dir=str(tmp_path / "data"), test_per_class=2)
        assert torch.equal(Trainer(few).task.dataset.test.images, dataset.test.images[:20])


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """An empty cache folder; no data set is on the machine."""
    monkeypatch.setattr(idx, "DEBIAN_FASHION_MNIST", tmp_path / "none")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    loading._load.cache_clear()
    yield tmp_path / "cache" / "growsearch"
    loading._load.cache_clear()


@pytest.fixture
def served(tmp_path):
    """A folder, and the URL of a local server for its files."""
    folder = tmp_path / "served"
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(quiet, directory=str(folder))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(("name", "title"), [("fashion-mnist", "FashionMNIST"), ("mnist", "MNIST")])
@pytest.mark.usefixtures("empty_cache")
def test_a_missing_idx_set_is_downloaded_by_torchvision(name, title, served, monkeypatch):
    folder, address = served
    write_fashion(folder, gzipped=True)
    files = [f"{file}-ubyte.gz" for file in NAMES]
    source = getattr(torchvision_datasets, title)
    monkeypatch.setattr(source, "mirrors", [address])
    monkeypatch.setattr(source, "resources", [(file, md5(folder / file)) for file in files])
    assert len(load_dataset(name).test) == 50


@pytest.mark.usefixtures("empty_cache")
def test_a_failed_download_names_the_remedies(monkeypatch):
    for title, name, remedy in (
        ("FashionMNIST", "fashion-mnist", "apt-get install dataset-fashion-mnist, or give its"),
        ("MNIST", "mnist", "; give its"),
    ):
        source = getattr(torchvision_datasets, title)
        monkeypatch.setattr(source, "mirrors", ["http://127.0.0.1:9/"])
        with pytest.raises(InputError, match=f"^{name} is not on .*{remedy} folder as data_") as e:
            load_dataset(name)
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
    loading._load.cache_clear()
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
    """Each augmented image is searched among all shifts and flips of its original."""
    crop, flip = load_dataset("digits"), load_dataset("fashion-mnist", str(fashion))
    for dataset, pad, mirror in ((crop, 1, False), (flip, 0, True)):
        dataset = dataset.subset(300, seed=0)
        raw = replace(dataset, spec=replace(dataset.spec, mean=(0.0,), std=(1.0,)))
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
            possible[(image * dataset.spec.pixel_max).round().to(torch.uint8).numpy().tobytes()]
            for image in images[:, 0]
        ]
        seen = {way for ways in found for way in ways}
        assert seen == {way for ways in possible.values() for way in ways}


def copies(image: np.ndarray, n: int, **spec: object) -> Dataset:
    """A data set of `n` copies of one uint8 image, normalized to pixels between 0 and 1."""
    same = Images(
        torch.from_numpy(image).expand(n, *image.shape), torch.zeros(n, dtype=torch.int64)
    )
    channels = len(image)
    values = {"mean": (0.0,) * channels, "std": (1.0,) * channels, **spec}
    return Dataset(same, same, same, DataSpec(classes=1, val_per_class=1, **values))


def test_crop_and_flip_move_the_channels_of_an_image_together():
    """As for CIFAR, the results are the 81 windows of the padded image, mirrored or not."""
    image = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    padded = np.pad(image, ((0, 0), (4, 4), (4, 4)))
    windows = [padded[:, r : r + 8, c : c + 8] for r in range(9) for c in range(9)]
    possible = {cut.tobytes() for w in windows for cut in (w, w[:, :, ::-1])}
    assert len(possible) == 162
    images, _ = epoch_of(copies(image, 2000, crop=4, flip=True), seed=0, epoch=1)
    assert {im.tobytes() for im in (images * 255).round().to(torch.uint8).numpy()} == possible


@pytest.mark.parametrize("degrees", [-20, 7.5, 90])
def test_rotation_is_scipys_with_black_coming_in(degrees):
    image = np.random.default_rng(0).integers(0, 256, (2, 64, 64), dtype=np.uint8)
    expected = scipy.ndimage.rotate(
        image.astype(float), degrees, axes=(2, 1), reshape=False, order=1, mode="grid-constant"
    )
    batch = torch.from_numpy(np.stack([image, image]))
    turned = rotated(batch, torch.tensor([0.0, degrees]))
    assert torch.allclose(turned[0], batch[0].float(), atol=0.01)
    assert np.allclose(turned[1].numpy(), expected, atol=0.05)


def test_each_image_is_turned_by_its_own_angle_up_to_the_largest():
    """A spot right of the centre (left if mirrored) shows each image's angle."""
    y, x = np.mgrid[:64, :64] - 31.5
    spot = np.exp(-((x - 20) ** 2 + y**2) / 8) * 255
    image = spot.astype(np.uint8)[None]
    images, _ = epoch_of(copies(image, 2000, rotation=20, flip=True), seed=0, epoch=1)
    pixels = images[:, 0].numpy()
    weight = pixels.sum(axis=(1, 2))
    right, down = ((pixels * axis).sum(axis=(1, 2)) / weight for axis in (x, y))
    assert (right < 0).mean() == pytest.approx(0.5, abs=0.05)
    degrees = np.degrees(np.arctan2(-down, abs(right)))
    assert abs(degrees).max() < 20.1
    assert np.histogram(degrees, bins=8, range=(-20, 20))[0].min() > 200


def test_rotation_is_drawn_after_all_else():
    digits = load_dataset("digits")
    turned = replace(digits, spec=replace(digits.spec, rotation=1e-9))
    for one, two in zip(epoch_of(digits, 0, 1), epoch_of(turned, 0, 1), strict=True):
        assert torch.allclose(one, two, atol=1e-4)


def test_each_channel_has_its_own_mean_and_deviation():
    image = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    mean, std = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
    dataset = copies(image, 4, mean=mean, std=std)
    expected = normalize(torch.from_numpy(image) / 255, mean, std)
    evaluated = next(dataset.evaluation_batches(dataset.val, 4)).images
    trained, _ = epoch_of(dataset, seed=0, epoch=1)
    for images in (evaluated, trained):
        assert torch.allclose(images, expected.expand(4, 3, 8, 8), atol=1e-6)


def specs():
    known = components("dataset").items()
    return {n: s.spec for n, s in known if s.holds == "images" and not s.own}


def test_augmentation_and_held_out_images_of_each_data_set():
    """Augmentation follows the LipGrow and AutoGrow papers; 5,000 or 300 images are held out."""
    assert {name: (s.crop, s.flip, s.rotation) for name, s in specs().items()} == {
        "digits": (1, False, 0),
        "mnist": (0, False, 0),
        "fashion-mnist": (0, True, 0),
        "cifar10": (4, True, 0),
        "cifar100": (4, True, 0),
        "svhn": (4, False, 0),
        "tiny-imagenet": (0, True, 20),
        "imagenet": (0, True, 0),
    }
    held_out = {name: s.classes * s.val_per_class for name, s in specs().items()}
    assert held_out.pop("digits") == 300
    assert held_out.pop("imagenet") == 50_000
    assert set(held_out.values()) == {5000}


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_class_names_are_as_many_as_classes_and_sorted_as_labels_are(name):
    """CIFAR numbers its classes alphabetically; names change no digest, and so no store key."""
    spec = specs()[name]
    assert len(set(spec.class_names)) == spec.classes
    assert list(spec.class_names) == sorted(spec.class_names)
    assert "class_names" not in repr(spec)


# Small data sets in the formats of the real ones. Each writer returns the training and the test
# images that it wrote, in order.


def random_images(n: int, shape: tuple[int, ...], classes: int) -> Images:
    rng = np.random.default_rng(n)
    images = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
    labels = rng.permutation(np.arange(n) % classes)
    return Images(torch.from_numpy(images), torch.from_numpy(labels))


def write_mnist(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Images, Images]:
    train, test = random_images(60, (1, 28, 28), 10), random_images(21, (1, 28, 28), 10)
    folder.mkdir()
    for split, part in (("train", train), ("t10k", test)):
        images, labels = part.images[:, 0].numpy(), part.labels.numpy().astype(np.uint8)
        (folder / f"{split}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    return train, test


def old_pickle(value: object) -> bytes:
    """A pickle as Python 2 and its numpy wrote it: dtypes have numbers in place of booleans."""
    return pickle.dumps(value, protocol=2).replace(b"\x89\x88\x87", b"K\x00K\x01\x87")


def write_cifar(
    folder: Path, monkeypatch: pytest.MonkeyPatch, classes: int
) -> tuple[Images, Images]:
    source = getattr(torchvision_datasets, f"CIFAR{classes}")
    shape = (3, 32, 32)
    train, test = random_images(6 * classes, shape, classes), random_images(201, shape, classes)
    below = folder / source.base_folder
    below.mkdir(parents=True)
    for attribute, part in (("train_list", train), ("test_list", test)):
        files = [below / name for name, _ in getattr(source, attribute)]
        rows = np.array_split(part.images.numpy().reshape(len(part), -1), len(files))
        labels = np.array_split(part.labels.numpy(), len(files))
        for file, some, theirs in zip(files, rows, labels, strict=True):
            key = "labels" if classes == 10 else "fine_labels"
            file.write_bytes(old_pickle({"data": some, key: theirs.tolist()}))
        monkeypatch.setattr(source, attribute, [[file.name, md5(file)] for file in files])
    meta = below / source.meta["filename"]
    meta.write_bytes(old_pickle({source.meta["key"]: [f"class {n}" for n in range(classes)]}))
    monkeypatch.setattr(source, "meta", {**source.meta, "md5": md5(meta)})
    return train, test


def write_svhn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Images, Images]:
    """SVHN stores images along the last axis and labels the digit 0 as 10."""
    train, test = random_images(60, (3, 32, 32), 10), random_images(21, (3, 32, 32), 10)
    folder.mkdir(exist_ok=True)
    lists = {}
    for split, part in (("train", train), ("test", test)):
        file = folder / f"{split}_32x32.mat"
        labels = part.labels.numpy().astype(np.uint8)[:, None]
        labels[labels == 0] = 10
        scipy.io.savemat(file, {"X": part.images.permute(2, 3, 1, 0).numpy(), "y": labels})
        lists[split] = [f"http://127.0.0.1:9/{file.name}", file.name, md5(file)]
    monkeypatch.setattr(torchvision_datasets.SVHN, "split_list", lists)
    return train, test


def write_tiny_imagenet(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Images, Images]:
    """Four classes of six training and ten validation images; JPEG keeps their single colours."""
    for name, value in {"CLASSES": 4, "TRAIN_PER_CLASS": 6, "VAL_PER_CLASS": 10}.items():
        monkeypatch.setattr(tiny_imagenet, name, value)
    if not folder.is_relative_to(cache_folder()):
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    root = folder / "tiny-imagenet-200"
    wnids = ["n01", "n02", "n03", "n04"]
    (root / "val" / "images").mkdir(parents=True)
    (root / "wnids.txt").write_text("\n".join(reversed(wnids)) + "\n")
    train = [(f"train/{wnids[n // 6]}/images/{wnids[n // 6]}_{n % 6}", n // 6) for n in range(24)]
    val = [(f"val/images/val_{n:02}", n // 10) for n in range(40)]
    rows = [f"{Path(name).name}.JPEG\t{wnids[label]}\t0\t0\t63\t63\n" for name, label in val]
    (root / "val" / "val_annotations.txt").write_text("".join(reversed(rows)))
    colours = []
    for n, (name, label) in enumerate(train + val):
        grey = n % 3 == 0
        colours.append((4 * n,) * 3 if grey else (4 * n, 60 * label, 255))
        path = root / f"{name}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.new("L" if grey else "RGB", (64, 64), 4 * n if grey else colours[-1])
        picture.save(path, quality=100, subsampling=0)
    pixels = torch.tensor(colours, dtype=torch.uint8)[:, :, None, None].expand(-1, 3, 64, 64)
    labels = torch.tensor([label for _, label in train + val])
    return Images(pixels[:24], labels[:24]), Images(pixels[24:], labels[24:])


WRITERS = {
    "mnist": write_mnist,
    "cifar10": partial(write_cifar, classes=10),
    "cifar100": partial(write_cifar, classes=100),
    "svhn": write_svhn,
    "tiny-imagenet": write_tiny_imagenet,
}
SHAPES = {"mnist": (1, 28, 28), "tiny-imagenet": (3, 64, 64)}


@pytest.fixture(params=WRITERS)
def written(request, tmp_path, monkeypatch):
    """Name, folder, training and test images of a small data set; it holds out two a class."""
    name, folder = request.param, tmp_path / "data"
    train, test = WRITERS[name](folder, monkeypatch)
    classes = 4 if name == "tiny-imagenet" else specs()[name].classes
    small = replace(specs()[name], classes=classes, val_per_class=2)
    monkeypatch.setattr(component("dataset", name), "spec", small)
    return name, folder, train, test


def labelled(images: Images) -> list[tuple[bytes, int]]:
    """Each image and its label, sorted; levels are rounded to remove JPEG's error of one level."""
    coarse = ((images.images.int() + 2) // 4).to(torch.uint8)
    return sorted(
        (bytes(image.numpy()), int(label))
        for image, label in zip(coarse.flatten(1), images.labels, strict=True)
    )


def test_clean_validation_comes_out_of_training_and_the_test_set_is_whole(written):
    name, folder, train, test = written
    dataset = load_dataset(name, str(folder))
    assert dataset.image_shape == SHAPES.get(name, (3, 32, 32))
    assert dataset.train.images.dtype == torch.uint8
    assert dataset.val.labels.bincount().tolist() == [2] * dataset.classes
    assert len(dataset.train) == len(train) - 2 * dataset.classes
    assert sorted(labelled(dataset.train) + labelled(dataset.val)) == labelled(train)
    assert labelled(dataset.test) == labelled(test)
    assert len(set(labelled(train)) | set(labelled(test))) == len(train) + len(test)


def test_paper_trains_on_the_training_set_and_halves_the_test_set(written):
    name, folder, train, test = written
    dataset = load_dataset(name, str(folder), "paper")
    assert labelled(dataset.train) == labelled(train)
    half = len(test) // 2
    assert (len(dataset.val), len(dataset.test)) == (half, len(test) - half)
    assert sorted(labelled(dataset.val) + labelled(dataset.test)) == labelled(test)
    if name == "tiny-imagenet":  # files are sorted by class
        for part in (dataset.val, dataset.test):
            assert part.labels.bincount(minlength=4).min() >= 2
    else:
        assert torch.equal(dataset.val.images, test.images[:half])


def test_autogrows_paper_validates_on_the_test_set(written):
    name, folder, train, test = written
    dataset = load_dataset(name, str(folder), "autogrow-paper")
    assert labelled(dataset.train) == labelled(train)
    assert labelled(dataset.val) == labelled(dataset.test) == labelled(test)


def test_padding_puts_images_in_the_middle_of_black_ones():
    """MNIST's 28x28 pixels become AutoGrow's 32x32; an odd pixel of padding is right or below."""
    digits = load_dataset("digits")
    for size, top in ((12, 2), (13, 2)):
        padded = task_of(TrialConfig(image_size=size)).dataset
        assert padded.image_shape == (1, size, size)
        for one, two in ((digits.train, padded.train), (digits.test, padded.test)):
            assert torch.equal(two.images[:, :, top : top + 8, top : top + 8], one.images)
            assert two.images.sum() == one.images.sum()
    with pytest.raises(InputError, match="image_size=7 is less than the images' 8x8"):
        task_of(TrialConfig(image_size=7)).prepare()


def test_a_share_of_the_images_is_a_class_balanced_subset():
    quarter = task_of(TrialConfig(train_fraction=0.25)).dataset
    assert len(quarter.train) == round(0.25 * 1197)
    counts = quarter.train.labels.bincount()
    assert counts.max() - counts.min() <= 1
    assert len(quarter.val) == 300


@pytest.mark.parametrize("split", ["clean", "paper"])
def test_a_split_is_the_same_whatever_was_drawn_before(written, split):
    name, folder, *_ = written
    one = load_dataset(name, str(folder), split)
    torch.manual_seed(17)
    loading._load.cache_clear()
    two = load_dataset(name, str(folder), split)
    assert torch.equal(one.val.images, two.val.images)
    assert torch.equal(one.train.labels, two.train.labels)


def test_a_trial_and_a_search_take_the_split_that_is_asked_for(tmp_path, monkeypatch):
    _, test = write_mnist(tmp_path / "data", monkeypatch)
    config = TrialConfig(dataset="mnist", data_dir=str(tmp_path / "data"), split="paper")
    assert torch.equal(Trainer(config).task.dataset.val.images.cpu(), test.images[:10])
    with pytest.raises(
        InputError, match=r"'paper' validates on .* digits has none; choose split 'clean'"
    ):
        _check_data([TrialConfig(), TrialConfig(split="paper")])


def test_too_few_images_of_a_class_to_hold_out_are_an_error(tmp_path, monkeypatch):
    write_mnist(tmp_path / "data", monkeypatch)
    with pytest.raises(InputError, match="class 0 has 6 training images, but 500 of each class"):
        load_dataset("mnist", str(tmp_path / "data"))


@pytest.mark.usefixtures("empty_cache")
def test_svhn_is_downloaded_once(served, monkeypatch):
    folder, address = served
    train, _ = write_svhn(folder, monkeypatch)
    for entry in torchvision_datasets.SVHN.split_list.values():
        entry[0] = f"{address}{entry[1]}"
    assert labelled(load_dataset("svhn", split="paper").train) == labelled(train)
    loading._load.cache_clear()
    for path in folder.iterdir():
        path.unlink()
    assert labelled(load_dataset("svhn", split="paper").train) == labelled(train)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "svhn"])
def test_a_failed_download_of_a_torchvision_set_is_one_line(name, empty_cache, monkeypatch):
    source = getattr(torchvision_datasets, name.upper())
    nowhere = "http://127.0.0.1:9/"
    if name == "svhn":
        lists = {split: [nowhere, *rest] for split, (_, *rest) in source.split_list.items()}
        monkeypatch.setattr(source, "split_list", lists)
    else:
        monkeypatch.setattr(source, "url", nowhere)
    with pytest.raises(InputError, match=f"missing and {name}'s download failed .*data_dir") as e:
        load_dataset(name)
    assert str(empty_cache) in str(e.value)
    assert "\n" not in str(e.value)


def test_data_dir_may_be_cifars_own_folder(tmp_path, monkeypatch):
    train, _ = write_cifar(tmp_path / "data", monkeypatch, classes=10)
    own = tmp_path / "data" / "cifar-10-batches-py"
    assert labelled(load_dataset("cifar10", str(own), "paper").train) == labelled(train)


FIRST_FILES = {
    "cifar10": "cifar-10-batches-py/data_batch_1",
    "cifar100": "cifar-100-python/train",
    "svhn": "train_32x32.mat",
}


@pytest.mark.parametrize("name", FIRST_FILES)
@pytest.mark.parametrize(
    "how", ["missing", "cut", "cut, with its checksum", "html, with its checksum"]
)
def test_a_torchvision_set_with_a_bad_file_is_one_line(name, how, tmp_path, monkeypatch):
    folder = tmp_path / "data"
    WRITERS[name](folder, monkeypatch)
    path = folder / FIRST_FILES[name]
    content = b"<html>not found</html>" if "html" in how else path.read_bytes()[:-1000]
    path.write_bytes(content)
    expected = f"{path} is damaged: its checksum is not"
    if how == "missing":
        path.unlink()
        expected = f"{path} is missing"
    if "with its checksum" in how:
        monkeypatch.setattr("torchvision.datasets.utils.check_md5", lambda *_: True)
        expected = f"the files in {folder} cannot be read"
    with pytest.raises(InputError, match=re.escape(expected)) as caught:
        load_dataset(name, str(folder), "paper")
    assert "; get it again, or leave data_dir out" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", WRITERS)
def test_a_data_dir_that_is_not_there_is_named(name, tmp_path):
    with pytest.raises(InputError, match=r"nowhere' is not a folder; give one with \S+") as caught:
        load_dataset(name, str(tmp_path / "nowhere"))
    assert "\n" not in str(caught.value)


def test_tiny_imagenet_is_found_in_the_cache_or_in_its_folder_with_or_without_its_list(
    empty_cache, monkeypatch
):
    with pytest.raises(InputError, match=r"has no download; unpack tiny-imagenet-200.zip there"):
        load_dataset("tiny-imagenet")
    train, _ = write_tiny_imagenet(empty_cache, monkeypatch)
    assert labelled(load_dataset("tiny-imagenet", split="paper").train) == labelled(train)
    own = empty_cache / "tiny-imagenet-200"
    (own / "wnids.txt").unlink()
    assert labelled(load_dataset("tiny-imagenet", str(own), "paper").train) == labelled(train)


def test_grey_jpegs_have_three_equal_channels(tmp_path, monkeypatch):
    write_tiny_imagenet(tmp_path, monkeypatch)
    pictures = load_dataset("tiny-imagenet", str(tmp_path), "paper").train.images
    with Image.open(tmp_path / "tiny-imagenet-200/train/n01/images/n01_3.JPEG") as file:
        assert file.mode == "L"
        grey = torch.tensor(np.array(file))
    assert torch.equal(pictures[3], grey.expand(3, 64, 64))
    assert not torch.equal(pictures[4, 0], pictures[4, 1])


ANNOTATIONS = "val/val_annotations.txt"
TINY_DAMAGE = {
    "train is missing, so": lambda d: shutil.rmtree(d / "train"),
    "train/n02 is missing, the folder of a class": lambda d: shutil.rmtree(d / "train/n02"),
    "train has 3 classes, but Tiny-ImageNet has 4": lambda d: (
        (d / "wnids.txt").unlink(),
        shutil.rmtree(d / "train/n02"),
    ),
    "wnids.txt has 5 classes, but": lambda d: append(d / "wnids.txt", "n05"),
    "n02/images has 0 *.JPEG, but Tiny-ImageNet has 6": lambda d: shutil.rmtree(
        d / "train/n02/images"
    ),
    "n02/images has 5 *.JPEG, but": lambda d: (d / "train/n02/images/n02_5.JPEG").unlink(),
    "val_annotations.txt is missing": lambda d: (d / ANNOTATIONS).unlink(),
    "gives 'val_00.JPEG' the unknown class 'n9'": lambda d: append(
        d / ANNOTATIONS, "val_00.JPEG\tn9\t0\t0\t1\t1\n"
    ),
    "gives 'val_00.JPEG' the unknown class ''": lambda d: append(d / ANNOTATIONS, "val_00.JPEG\n"),
    "names 'val_99.JPEG', but": lambda d: append(d / ANNOTATIONS, "val_99.JPEG\tn01\n"),
    "has 1 labelled images, but": lambda d: (d / ANNOTATIONS).write_text("val_00.JPEG\tn01\n"),
    "n02_0.JPEG cannot be read": lambda d: (d / "train/n02/images/n02_0.JPEG").write_bytes(b"<p>"),
    "n02_1.JPEG cannot be read": lambda d: cut(d / "train/n02/images/n02_1.JPEG"),
    "val_03.JPEG has 32x64 pixels, not 64x64": lambda d: Image.new("RGB", (64, 32)).save(
        d / "val/images/val_03.JPEG"
    ),
}


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize("message", TINY_DAMAGE)
def test_an_incomplete_tiny_imagenet_is_one_line(message, tmp_path, monkeypatch):
    write_tiny_imagenet(tmp_path, monkeypatch)
    TINY_DAMAGE[message](tmp_path / "tiny-imagenet-200")
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        load_dataset("tiny-imagenet", str(tmp_path), "paper")
    assert str(tmp_path / "tiny-imagenet-200") in str(caught.value)
    assert "; unpack tiny-imagenet-200.zip again" in str(caught.value)
    assert "\n" not in str(caught.value)
