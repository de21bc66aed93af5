import hashlib
import multiprocessing
import pickle
import re
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import RECORD, files_of_at_most, plain, run, task_of
from image_folders import dataset_of, epoch_of, evaluated, use_workers, write
from PIL import Image
from torchvision.transforms import CenterCrop, Resize

from growsearch import Trainer, TrialConfig
from growsearch.tasks.images import decode as decoding
from growsearch.tasks.images.decode import Decoding
from growsearch.trial.components import component
from growsearch.trial.errors import InputError

# torch warns of more workers than cores, and the tests may run on one core
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker processes")
AGAIN = "run growsearch decode again$"


def noise(folder: Path, sizes: list[tuple[int, int]]) -> Path:
    """Two classes in ImageNet's layout; each has one picture of each size, JPEG or PNG."""
    rng = np.random.default_rng(0)
    for part in ("train", "val"):
        for name in ("n01", "n02"):
            (folder / part / name).mkdir(parents=True)
            for n, (width, height) in enumerate(sizes):
                pixels = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
                picture = Image.fromarray(pixels).resize((width, height))
                picture.save(folder / part / name / f"{n}.{('jpg', 'png')[n % 2]}")
    return folder


@pytest.fixture(autouse=True)
def _two_are_held_out(monkeypatch):
    imagenet = component("dataset", "imagenet")
    monkeypatch.setattr(imagenet, "spec", replace(imagenet.spec, val_per_class=2))


ANY = [(500, 375), (375, 501), (90, 61), (256, 300), (640, 40), (224, 224), (257, 259)]
SHORTER_256 = [(256, 300), (341, 256), (256, 256), (500, 256), (256, 257), (256, 384)]


@pytest.fixture(scope="module")
def any_size(tmp_path_factory):
    """The folder of files and the decoded folder."""
    return _both(tmp_path_factory.mktemp("any"), ANY)


@pytest.fixture(scope="module")
def of_256(tmp_path_factory):
    return _both(tmp_path_factory.mktemp("of_256"), SHORTER_256)


def _both(folder, sizes):
    files = noise(folder / "files", sizes)
    sum(Decoding(str(files), str(folder / "decoded")))
    return files, folder / "decoded"


@pytest.fixture
def copy(of_256, tmp_path):
    """A copy of a decoded folder, which a test may damage."""
    return shutil.copytree(of_256[1], tmp_path / "copy")


def equal(one, two):
    return torch.equal(one[0], two[0]) and torch.equal(one[1], two[1])


def test_evaluation_is_that_of_the_files_bit_for_bit(any_size):
    files, images = map(dataset_of, any_size)
    for name in ("train", "val", "test"):
        one, two = getattr(files, name), getattr(images, name)
        assert equal(evaluated(files, one), evaluated(images, two))


def test_evaluation_is_torchvisions_resize_and_centre_crop(any_size):
    files, folder = any_size
    expected = []
    for path in sorted((files / "val").rglob("*.*")):
        with Image.open(path) as file:
            expected.append(np.array(CenterCrop(224)(Resize(256)(file.convert("RGB")))))
    batch = next(dataset_of(folder).val.batches(100))
    assert np.array_equal(batch.images.permute(0, 2, 3, 1).numpy(), np.stack(expected))


def test_a_picture_is_stored_as_torchvision_resizes_it_and_hashed(any_size):
    files, folder = any_size
    pixels = b""
    for path in sorted((files / "train").rglob("*.*")):
        with Image.open(path) as file:
            pixels += np.array(Resize(256)(file.convert("RGB"))).tobytes()
    assert (folder / "train.pixels").read_bytes() == pixels
    with np.load(folder / "train.npz") as index:
        assert str(index["sha256"]) == hashlib.sha256(pixels).hexdigest()
        assert index["classes"].tolist() == ["n01", "n02"]


def test_training_is_that_of_the_files_where_decoding_loses_nothing(of_256):
    """Order, crops and mirroring agree for the whole set, a subset, and a share of each batch."""
    for split in ("autogrow-paper", "clean"):
        files, images = (dataset_of(folder, split) for folder in of_256)
        assert equal(epoch_of(files), epoch_of(images))
        assert equal(epoch_of(files.subset(5, seed=1)), epoch_of(images.subset(5, seed=1)))
        for share in ((0, 2), (1, 2)):
            one, two = (d.training_batches(4, 0, 1, share) for d in (files, images))
            for batch, other in zip(one, two, strict=True):
                assert torch.equal(batch.images, other.images)
                assert torch.equal(batch.labels, other.labels)


@pytest.mark.slow
def test_a_trial_is_that_on_the_files(of_256):
    options = {
        "dataset": "imagenet", "split": "clean", "network": "basic4resnet-imagenet", "lr": 0.01,
        "policy": "none", "architecture": "1-1-1-1", "epochs": 1, "batch_size": 4, "device": "cpu",
    }  # fmt: skip
    one, two = (
        asdict(next(Trainer(TrialConfig(data_dir=str(folder), **options)))) for folder in of_256
    )
    compared = set(RECORD) - {"key"}
    assert [plain(one[name]) for name in compared] == [plain(two[name]) for name in compared]
    assert one["key"] != two["key"]


def test_workers_change_nothing(any_size, tmp_path, monkeypatch):
    files, folder = any_size
    dataset = dataset_of(folder)
    alone = epoch_of(dataset), evaluated(dataset, dataset.val)
    use_workers(monkeypatch, 2)
    assert equal(epoch_of(dataset), alone[0])
    assert equal(evaluated(dataset, dataset.val), alone[1])
    monkeypatch.setattr(decoding, "CHUNK", 3)
    sum(Decoding(str(files), str(tmp_path / "again")))
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_a_split_travels_without_its_pixels(of_256):
    dataset = dataset_of(of_256[1])
    evaluated(dataset, dataset.train)  # this maps the file
    sent = pickle.dumps(dataset.train)
    assert len(sent) < 5000 < (of_256[1] / "train.pixels").stat().st_size / 100
    other = replace(dataset, train=pickle.loads(sent))
    assert equal(epoch_of(other), epoch_of(dataset))
    assert other.train.digest == dataset.train.digest


def test_a_part_shares_the_map_and_has_a_digest_of_its_own(of_256):
    dataset = dataset_of(of_256[1])
    parts = [dataset.subset(5, seed).train for seed in (0, 0, 1)]
    assert all(part.file.pixels is dataset.train.file.pixels for part in parts)
    digests = [part.digest for part in (*parts, dataset.train, dataset.val)]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4


def test_other_pixels_are_another_data_set(of_256, copy):
    with np.load(copy / "train.npz") as file:
        index = dict(file)
    np.savez_compressed(copy / "train.npz", **index | {"sha256": np.array("0")})
    assert dataset_of(copy).train.digest != dataset_of(of_256[1]).train.digest


def test_they_are_not_padded(of_256):
    config = TrialConfig(
        dataset="imagenet", data_dir=str(of_256[1]), image_size=256, policy="none",
        network="basic4resnet-imagenet",
    )  # fmt: skip
    with pytest.raises(InputError, match=r"image_size=256 pads small .* leave it out$"):
        task_of(config).prepare()


def cut(path: Path, size: int = -1) -> None:
    path.write_bytes(path.read_bytes()[:size])


def with_index(path: Path, **changes) -> None:
    with np.load(path) as file:
        np.savez_compressed(path, **dict(file) | changes)


DAMAGE = {
    r"train.pixels has [\d,]+ bytes, but its index has [\d,]+; ": lambda d: cut(d / "train.pixels"),
    r"val.pixels cannot be read \(.*empty.*\); ": lambda d: cut(d / "val.pixels", 0),
    r"val.pixels cannot be read \(.*No such file.*\); ": lambda d: (d / "val.pixels").unlink(),
    r"train.npz cannot be read \(.*No such file.*\); ": lambda d: (d / "train.npz").unlink(),
    r"val.npz cannot be read \(.+\); ": lambda d: cut(d / "val.npz"),
    r"train.npz has format 2, but only 1 can be read; ": lambda d: with_index(
        d / "train.npz", format=np.array(2)
    ),
    r"has different classes in train and val; ": lambda d: with_index(
        d / "val.npz", classes=np.array(["n01", "n03"])
    ),
}


@pytest.mark.parametrize("message", DAMAGE)
def test_a_damaged_folder_is_one_line(message, copy):
    DAMAGE[message](copy)
    with pytest.raises(InputError, match=f"^{re.escape(str(copy))}.*{message}{AGAIN}"):
        dataset_of(copy)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_that_goes_after_it_was_found_is_one_line(workers, copy, monkeypatch):
    use_workers(monkeypatch, workers)
    # The copy has not mapped the file yet.
    train = pickle.loads(pickle.dumps(dataset_of(copy).train))
    cut(copy / "train.pixels")
    with pytest.raises(InputError, match=f"train.pixels has .*{AGAIN}"):
        list(train.batches(4))
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_decode_says_how_much_and_how_to_train_on_it(capsys, tmp_path):
    files, out = write(tmp_path / "files"), tmp_path / "new" / "decoded"
    code, shown, _ = run(capsys, "decode", files, out)
    size = sum(path.stat().st_size for path in out.glob("*.pixels"))
    assert code == 0
    assert shown.splitlines() == [
        f"decoded 18 pictures, {size / 1e6:.1f} MB: train on them with",
        f"growsearch train --dataset imagenet --data-dir {out}",
    ]
    assert [path.name for path in out.parent.iterdir()] == ["decoded"]
    options = [*shown.splitlines()[1].split()[2:], "--network=basic4resnet-imagenet"]
    options += ["--policy=none", "--architecture=1-1-1-1", "--epochs=1", "--batch-size=4"]
    code, shown, _ = run(capsys, "train", *options, "--out", tmp_path / "trial")
    assert code == 0 and "completed after 1 epoch," in shown


@pytest.mark.parametrize("chunk", [3, 32])
def test_a_picture_that_cannot_be_decoded_is_one_line_and_leaves_nothing(
    capsys, tmp_path, monkeypatch, chunk
):
    """One case decodes in workers, the other in this process."""
    files, out = write(tmp_path / "files"), tmp_path / "decoded"
    monkeypatch.setattr(decoding, "CHUNK", chunk)
    cut(files / "val/n02/06.jpeg", 300)
    out.mkdir()
    code, shown, err = run(capsys, "decode", files, out)
    assert (code, shown, err.count("\n")) == (2, "", 1)
    assert f"error: {files}/val/n02/06.jpeg cannot be read (" in err
    assert err.endswith("; get the file again or remove it\n")
    assert multiprocessing.active_children() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["decoded", "files"]
    assert list(out.iterdir()) == []


def test_a_full_disk_is_one_line_and_leaves_nothing(capsys, tmp_path):
    files = write(tmp_path / "files")
    with files_of_at_most(1_000_000):
        code, _, err = run(capsys, "decode", files, tmp_path / "decoded")
    assert code == 2
    assert err == (
        f"growsearch decode: error: output folder '{tmp_path}/decoded' cannot be written (File too "
        "large); choose another, or make room for it\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["files"]


def test_a_disk_that_is_too_small_is_found_before(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=18 * 256 * 256 * 3 - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(InputError, match=r"^18 pictures take at least .* choose another disk$"):
        next(iter(Decoding(str(write(tmp_path / "files")), str(tmp_path / "decoded"))))
    assert [path.name for path in tmp_path.iterdir()] == ["files"]


def test_until_it_ends_nothing_looks_complete(tmp_path):
    files, out = write(tmp_path / "files"), tmp_path / "decoded"
    sizes = iter(Decoding(str(files), str(out)))
    next(sizes)
    assert not out.exists()
    with pytest.raises(InputError, match=r"decoded.unfinished' exists: another .* remove the fo"):
        Decoding(str(files), str(out))
    sizes.close()
    assert [path.name for path in tmp_path.iterdir()] == ["files"]


def test_nothing_is_overwritten(capsys, tmp_path, of_256):
    files, folder = of_256
    (tmp_path / "notes.txt").write_text("mine")
    for out, held in ((folder, "decoded images"), (tmp_path, "other files")):
        before = {path: path.read_bytes() for path in out.iterdir()}
        code, _, err = run(capsys, "decode", files, out)
        assert code == 2
        assert f"'{out}' holds {held}; nothing was changed: choose a new folder\n" in err
        assert {path: path.read_bytes() for path in out.iterdir()} == before
    code, _, err = run(capsys, "decode", folder, tmp_path / "new")
    assert code == 2 and f"'{folder}' is already decoded; train from it\n" in err
    code, _, err = run(capsys, "decode", files, tmp_path / "notes.txt" / "new")
    assert code == 2 and "notes.txt/new' cannot be created (Not a directory); choose another" in err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_where_a_disk_is_mounted_the_folder_is_refused_at_once(tmp_path, of_256, monkeypatch):
    monkeypatch.setattr(Path, "is_mount", lambda self: self == tmp_path)
    with pytest.raises(InputError, match=r"is a mount point.*; choose a new folder in i"):
        Decoding(str(of_256[0]), str(tmp_path))
