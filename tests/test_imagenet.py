import multiprocessing
import re
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import task_of
from image_folders import colour, dataset_of, epoch_of, evaluated, use_workers, write
from PIL import Image
from scipy.stats import ks_2samp
from torchvision.transforms import CenterCrop, RandomResizedCrop, Resize
from torchvision.transforms.functional import normalize

from growsearch import Trainer, TrialConfig
from growsearch.tasks.images import loading
from growsearch.tasks.images import streamed as pictures
from growsearch.tasks.images.dataset import Dataset
from growsearch.tasks.images.encoded import ImageFiles
from growsearch.tasks.images.loading import load_dataset
from growsearch.tasks.images.streamed import ATTEMPTS, random_box
from growsearch.trial.components import component
from growsearch.trial.errors import InputError

# torch warns of more workers than cores, and the tests may run on one core
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker processes")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two classes of six `train` and three `val` images; two of each class are held out."""
    imagenet = component("dataset", "imagenet")
    monkeypatch.setattr(imagenet, "spec", replace(imagenet.spec, val_per_class=2))
    return write(tmp_path / "data")


def raw(dataset: Dataset) -> Dataset:
    """The data set with pixels from 0 to 1 in its batches."""
    return replace(dataset, spec=replace(dataset.spec, mean=(0.0,) * 3, std=(1.0,) * 3))


def files(split: ImageFiles) -> list[str]:
    """Class folder and name of each file."""
    return ["/".join(Path(path).parts[-2:]) for path in split.paths]


def test_classes_are_the_sorted_folders_and_images_have_any_of_the_suffixes(folder):
    for other in ("train/n01/notes.txt", "train/n01/._00.JPEG", "train/list.txt", "val/.DS_Store"):
        (folder / other).write_text("no image")
    (folder / "train/.cache").mkdir()
    dataset = dataset_of(folder)
    assert (dataset.classes, dataset.image_shape) == (2, (3, 224, 224))
    numbers = ["00.JPEG", "01.jpg", "02.jpeg", "03.PNG", "04.JPEG", "05.jpg"]
    assert files(dataset.train) == [f"{name}/{n}" for name in ("n01", "n02") for n in numbers]
    assert dataset.train.labels.tolist() == [0] * 6 + [1] * 6
    assert dataset.test.labels.tolist() == [0] * 3 + [1] * 3
    assert dataset.train.labels.dtype == torch.int64


def test_clean_validation_comes_out_of_train_and_the_val_folder_is_the_test_set(folder):
    dataset = dataset_of(folder, "clean")
    assert dataset.val.labels.tolist() == [0, 0, 1, 1]
    assert len(dataset.train) == 8
    everything = dataset_of(folder).train
    assert sorted(files(dataset.train) + files(dataset.val)) == files(everything)
    assert files(dataset.test) == files(dataset_of(folder).test)
    loading._load.cache_clear()
    torch.manual_seed(17)
    assert files(dataset_of(folder, "clean").val) == files(dataset.val)


def test_lipgrows_split_halves_the_val_folder_and_autogrows_takes_it_twice(folder):
    paper, autogrow = dataset_of(folder, "paper"), dataset_of(folder)
    assert files(paper.train) == files(autogrow.train)
    assert (len(paper.val), len(paper.test)) == (3, 3)
    assert sorted(files(paper.val) + files(paper.test)) == files(autogrow.test)
    assert paper.val.labels.unique().tolist() == paper.test.labels.unique().tolist() == [0, 1]
    assert files(autogrow.val) == files(autogrow.test)


def test_the_real_one_holds_out_50_images_of_each_of_its_1000_classes(tmp_path):
    spec = component("dataset", "imagenet").spec
    assert (spec.classes, spec.val_per_class, spec.mean, spec.std) == (1000, 50, MEAN, STD)
    with pytest.raises(InputError, match=r"0 has 6 .* but 50 .*, or choose another split$"):
        dataset_of(write(tmp_path / "data"), "clean")


@pytest.mark.parametrize("workers", [0, 2])
def test_each_image_has_the_label_of_its_folder_and_its_place(folder, workers, monkeypatch):
    use_workers(monkeypatch, workers)
    dataset = raw(dataset_of(folder))
    for images, labels in (epoch_of(dataset, batch_size=5), evaluated(dataset, dataset.train)):
        assert (images.shape, images.dtype) == ((12, 3, 224, 224), torch.float32)
        colours = (images * 255).round().int().flatten(2)
        assert (colours.amax(2) - colours.amin(2)).max() == 0
        numbers = ((colours[:, 1, 0] + 6) // 12).tolist()
        expected = [colour(*pair) for pair in zip(labels.tolist(), numbers, strict=True)]
        assert (colours[:, :, 0] - torch.tensor(expected)).abs().max() <= 2
        seen = list(zip(labels.tolist(), numbers, strict=True))
        assert sorted(seen) == [(label, n) for label in (0, 1) for n in range(6)]
    assert seen == sorted(seen)


def test_pixels_are_normalized_by_imagenets_mean_and_deviation(folder):
    dataset = dataset_of(folder)
    for images, plain in (
        (epoch_of(dataset)[0], epoch_of(raw(dataset))[0]),
        (evaluated(dataset, dataset.val)[0], evaluated(raw(dataset), dataset.val)[0]),
    ):
        assert torch.allclose(images, normalize(plain, MEAN, STD), atol=1e-5)


KINDS = [
    ((500, 375), "RGB", "jpg"), ((375, 501), "RGB", "JPEG"), ((90, 61), "RGB", "jpg"),
    ((256, 300), "RGB", "jpeg"), ((301, 256), "L", "jpg"), ((640, 20), "CMYK", "jpg"),
    ((224, 224), "RGBA", "png"), ((257, 259), "P", "png"),
]  # fmt: skip


def test_evaluation_is_torchvisions_resize_and_centre_crop(folder):
    """Pictures are larger and smaller, grey, CMYK, transparent, and with a palette."""
    rng, expected = np.random.default_rng(0), []
    for n, (size, mode, suffix) in enumerate(KINDS):
        noise = Image.fromarray(rng.integers(0, 256, (30, 20, 3), dtype=np.uint8))
        path = folder / f"val/n01/{n}-shape.{suffix}"
        noise.resize(size).convert(mode).save(path)
        with Image.open(path) as file:
            expected.append(np.array(CenterCrop(224)(Resize(256)(file.convert("RGB")))))
    dataset = raw(dataset_of(folder))
    index = [n for n, name in enumerate(files(dataset.val)) if "-shape" in name]
    images, _ = evaluated(dataset, dataset.val[torch.tensor(index)])
    got = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(got, np.stack(expected))


def test_damaged_exif_is_passed_over_without_a_warning(folder):
    path = folder / "val/n01/exif.jpg"
    Image.new("RGB", (30, 30)).save(path, exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0")
    with pytest.warns(UserWarning, match="EXIF"):
        Image.open(path).close()
    dataset = dataset_of(folder)
    evaluated(dataset, dataset.val)


def test_training_images_are_parts_of_the_picture_mirrored_or_not(tmp_path):
    """Red encodes a pixel's column, green its row."""
    root, width, height = write(tmp_path / "data", train=1, val=1), 256, 192
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    picture = Image.fromarray(np.stack([columns, rows, 0 * rows], axis=2))
    picture.save(tmp_path / "picture.png")
    for name in ("n01", "n02"):
        (root / f"train/{name}/00.JPEG").unlink()
        for n in range(150):
            shutil.copy(tmp_path / "picture.png", root / f"train/{name}/{n:03}.png")
    images, _ = epoch_of(raw(dataset_of(root)))
    columns, rows = (images[:, :2] * 255).numpy().transpose(1, 0, 2, 3)
    assert np.ptp(columns, axis=1).max() <= 1
    assert np.ptp(rows, axis=2).max() <= 1
    # the middle 120 of 224 pixels, without effects of the edges
    across, down = (
        (image[52 + 120] - image[52]) * 224 / 120
        for image in (columns.mean(axis=1).T, rows.mean(axis=2).T)
    )
    assert 0.4 < (across < 0).mean() < 0.6
    assert down.min() > 0
    area, ratio = abs(across) * down / (width * height), abs(across) / down
    assert 0.075 < area.min() < 0.12 and 0.9 < area.max() < 1.02
    assert 0.73 < ratio.min() < 0.8 and 1.25 < ratio.max() < 1.36
    left, top = columns.mean(axis=(1, 2)) - abs(across) / 2, rows.mean(axis=(1, 2)) - down / 2
    assert left.min() > -2 and (left + abs(across)).max() < width + 2
    assert top.min() > -2 and (top + down).max() < height + 2
    assert np.ptp(left) > 100 and np.ptp(top) > 80


@pytest.mark.parametrize("size", [(500, 375), (100, 160), (64, 64)])
def test_random_boxes_are_distributed_as_torchvisions(size):
    torch.manual_seed(0)
    width, height = size
    ours, theirs = [], []
    for random in torch.rand(2000, 2 * ATTEMPTS + 2).numpy():
        left, top, right, bottom = random_box(width, height, random)
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
        ours.append((left, top, right - left, bottom - top))
        top, left, h, w = RandomResizedCrop.get_params(
            torch.empty(3, height, width), scale=[0.08, 1], ratio=[3 / 4, 4 / 3]
        )
        theirs.append((left, top, w, h))
    for one, two in zip(np.transpose(ours), np.transpose(theirs), strict=True):
        assert ks_2samp(one, two).pvalue > 0.01


@pytest.mark.parametrize("size", [(2000, 20), (20, 2001), (1001, 50), (1, 1000)])
def test_where_no_attempt_fits_the_largest_box_in_the_centre_is_torchvisions(size):
    top, left, h, w = RandomResizedCrop.get_params(
        torch.empty(3, size[1], size[0]), scale=[0.08, 1], ratio=[3 / 4, 4 / 3]
    )
    random = torch.rand(2 * ATTEMPTS + 2).numpy()
    assert random_box(*size, random) == (left, top, left + w, top + h)


@pytest.fixture
def noisy(folder):
    """The folder with noise pictures, so that different crops are different images."""
    rng = np.random.default_rng(0)
    for path in folder.rglob("0*"):
        Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(path)
    return folder


def test_batches_do_not_depend_on_workers_nor_on_what_they_read_at_a_time(noisy, monkeypatch):
    dataset = dataset_of(noisy, "clean")
    trained, validated = epoch_of(dataset, batch_size=5), evaluated(dataset, dataset.val)
    for workers, chunk in ((2, 2), (1, 3), (0, 1)):
        use_workers(monkeypatch, workers, chunk)
        for one, two in (
            (trained, epoch_of(dataset, batch_size=5)),
            (validated, evaluated(dataset, dataset.val)),
        ):
            assert torch.equal(one[0], two[0])
            assert torch.equal(one[1], two[1])


def test_an_epoch_is_drawn_from_seed_and_epoch_alone(noisy):
    dataset = dataset_of(noisy)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    images, labels = epoch_of(dataset, seed=0, epoch=5)
    assert torch.equal(torch.get_rng_state(), state)
    epoch_of(dataset, seed=0, epoch=6)
    assert torch.equal(images, epoch_of(dataset, seed=0, epoch=5)[0])
    for other in ({"seed": 0, "epoch": 6}, {"seed": 1, "epoch": 5}):
        again, order = epoch_of(dataset, **other)
        assert not torch.equal(labels, order)
        assert not {im.numpy().tobytes() for im in images} & {im.numpy().tobytes() for im in again}


def test_stopping_early_ends_the_workers_at_once(folder, monkeypatch):
    use_workers(monkeypatch, workers=2, chunk=1)
    dataset = dataset_of(folder)
    started = time.perf_counter()
    batches = dataset.training_batches(2, seed=0, epoch=1)
    next(batches)
    assert len(multiprocessing.active_children()) == 2
    two = dataset.evaluation_batches(dataset.val, 2)
    assert next(two).labels.tolist() == [0, 0]
    next(batches)
    del batches, two
    assert multiprocessing.active_children() == []
    assert time.perf_counter() - started < 20


def test_a_worker_has_work_and_one_core_is_left(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr("torch.get_num_threads", lambda: 16)
    assert [pictures._workers(n) for n in (10, 64, 10_000)] == [0, 2, 7]
    monkeypatch.setattr("torch.get_num_threads", lambda: 4)  # as if the trial had four threads
    assert [pictures._workers(n) for n in (10, 64, 10_000)] == [0, 2, 3]
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {3})
    assert [pictures._workers(n) for n in (10, 64, 10_000)] == [0, 1, 1]


def test_a_part_of_the_images_is_balanced_and_drawn_from_the_seed(folder):
    options = {"dataset": "imagenet", "data_dir": str(folder), "network": "basic4resnet-imagenet"}
    half = task_of(TrialConfig(**options, train_fraction=0.5, policy="none")).dataset
    assert half.train.labels.tolist() == [0, 0, 1, 1]
    five = [dataset_of(folder, "clean").subset(5, seed).train for seed in (0, 0, 1, 2, 3)]
    assert files(five[0]) == files(five[1])
    assert len({tuple(files(split)) for split in five}) > 1
    assert set(files(five[0])) <= set(files(dataset_of(folder, "clean").train))
    with pytest.raises(InputError, match=r"image_size=256 pads small .* leave it out$"):
        task_of(TrialConfig(**options, image_size=256, policy="none")).prepare()


def test_a_data_dir_is_needed_and_must_be_a_folder(tmp_path):
    layout = r"train/<class>/ and val/<class>/, and \*.JPEG, \*.jpg or \*.png in each$"
    with pytest.raises(InputError, match=f"^imagenet has no download; give as data_dir .*{layout}"):
        load_dataset("imagenet")
    with pytest.raises(InputError, match=f"nowhere' is not a folder; give one with {layout}"):
        dataset_of(tmp_path / "nowhere")


DAMAGE = {
    "train is missing; give as data_dir a folder with train/<class>/": lambda d: shutil.rmtree(
        d / "train"
    ),
    "val is missing; give as data_dir": lambda d: shutil.rmtree(d / "val"),
    "val/n02 is missing, but {}/train/n02 is there; give": lambda d: shutil.rmtree(d / "val/n02"),
    "train/n01 is missing, but {}/val/n01 is there; give": lambda d: (
        shutil.rmtree(d / "train/n01"),
        shutil.copytree(d / "train/n02", d / "train/n03"),
    ),
    "train must have a folder for each of at least 2 classes, but has 1; give": lambda d: (
        shutil.rmtree(d / "train/n01")
    ),
    "val/n02 has no *.JPEG, *.jpg or *.png; put the images of the class there": lambda d: [
        path.unlink() for path in (d / "val/n02").iterdir()
    ],
}


@pytest.mark.parametrize("message", DAMAGE)
def test_an_incomplete_folder_is_one_line(message, folder):
    DAMAGE[message](folder)
    expected = f"{folder}/{message.format(folder)}"
    with pytest.raises(InputError, match=f"^{re.escape(expected)}") as caught:
        dataset_of(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("how", ["no image", "cut", "removed"])
def test_an_image_that_cannot_be_read_is_one_line(folder, how, workers, monkeypatch):
    use_workers(monkeypatch, workers)
    dataset, path = dataset_of(folder), folder / "train/n02/04.JPEG"
    path.write_bytes(b"<html>" if how == "no image" else path.read_bytes()[:-40])
    if how == "removed":
        path.unlink()
    expected = rf"^{re.escape(str(path))} cannot be read \(.+\); get the file again or remove it$"
    for read in (epoch_of, lambda d: evaluated(d, d.train)):
        with pytest.raises(InputError, match=expected):
            read(dataset)
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_a_trial_trains_on_a_folder(tmp_path):
    root = write(tmp_path / "data", train=3, val=2)
    config = TrialConfig(
        dataset="imagenet", data_dir=str(root), split="paper", network="basic4resnet-imagenet",
        policy="none", architecture="1-1-1-1", epochs=1, batch_size=4, lr=0.01, device="cpu",
    )  # fmt: skip
    one, two = (next(Trainer(config)) for _ in range(2))
    assert one.status == "completed"
    assert one.val_accuracy in (0, 50, 100)
    times = dict.fromkeys(("seconds", "train_seconds", "eval_seconds", "lipschitz_seconds"), 0.0)
    assert replace(one, **times) == replace(two, **times)
