"""A folder of class folders: what is read, and what is refused."""

import json
import os
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import once, run
from PIL import Image

from growsearch import InputError, Trainer, TrialConfig
from growsearch.machine.cache import cache_folder
from growsearch.machine.saved import load_tensors
from growsearch.study.results import read_study
from growsearch.tasks.images import class_folders, loading
from growsearch.tasks.images.encoded import upright
from growsearch.tasks.images.mapped import HostImages
from growsearch.tuning.tuner import resume_search, run_search

FAST = {
    "dataset": "folder", "image_size": 8, "policy": "none", "architecture": "1-1-1", "epochs": 3,
    "lr": 0.05, "batch_size": 6, "precision": "float32", "compile": "off", "device": "cpu",
}  # fmt: skip


def picture(label: int, number: int, mode: str = "RGB") -> Image.Image:
    """Noise of another size for each number, with a mean by its label."""
    draw = np.random.default_rng([label, number])
    height, width = 20 + number % 5, 24 - number % 7
    pixels = draw.integers(60 * label, 60 * label + 120, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def write_pictures(
    folder: Path, each: int = 10, classes: tuple[str, ...] = ("ant", "bee"), mode: str = "RGB",
    first: int = 0,
) -> Path:  # fmt: skip
    """`each` pictures of each class, in PNG and JPEG files with numbers from `first`."""
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(first, first + each):
            suffix = ("png", "JPEG", "jpg", "PNG")[number % 4]
            picture(label, number, mode).save(folder / name / f"{number:02}.{suffix}")
    return folder


def config_of(folder: Path, **options: object) -> TrialConfig:
    return TrialConfig(**{**FAST, "data_dir": str(folder), **options})


def dataset_of(folder: Path, **options: object):
    return config_of(folder, **options).task.dataset


def by_pillow(path: Path, size: int, mode: str = "RGB") -> np.ndarray:
    """[channels, size, size]: the shorter side resized, the centre cropped; torchvision's way."""
    from torchvision.transforms import CenterCrop, Compose, Resize

    with Image.open(path) as file:
        pixels = np.asarray(Compose([Resize(size), CenterCrop(size)])(file.convert(mode)))
    return pixels.reshape(size, size, -1).transpose(2, 0, 1)


def images_of(split) -> set[tuple[int, bytes]]:
    pairs = zip(split.labels.tolist(), split.images.numpy(), strict=True)
    return {(label, image.tobytes()) for label, image in pairs}


def on_disk(folder: Path, size: int = 8, mode: str = "RGB") -> set[tuple[int, bytes]]:
    classes = sorted(path.name for path in folder.iterdir())
    return {
        (classes.index(path.parent.name), by_pillow(path, size, mode).tobytes())
        for path in folder.glob("*/*")
    }


def error_of(do, *arguments: object, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        do(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1)])
def test_pictures_are_resized_cropped_and_divided_by_class(tmp_path, mode, channels):
    write_pictures(tmp_path / "data", each=20, mode=mode)
    dataset = dataset_of(tmp_path / "data", val_fraction=0.2)
    splits = (dataset.train, dataset.val, dataset.test)
    assert [split.labels.bincount().tolist() for split in splits] == [[14] * 2, [4] * 2, [2] * 2]
    assert dataset.image_shape == (channels, 8, 8)
    assert dataset.spec.class_names == ("ant", "bee")
    every = [images_of(split) for split in splits]
    assert set.union(*every) == on_disk(tmp_path / "data", mode=mode)
    assert sum(map(len, every)) == 40


def test_one_picture_in_colour_makes_three_channels(tmp_path):
    write_pictures(tmp_path / "data", mode="L")
    Image.new("RGB", (9, 9), "red").save(tmp_path / "data/ant/red.png")
    dataset = dataset_of(tmp_path / "data")
    assert dataset.image_shape == (3, 8, 8)
    assert set.union(*map(images_of, (dataset.train, dataset.val, dataset.test))) == on_disk(
        tmp_path / "data"
    )


def test_mean_and_deviation_are_numpys_of_the_training_images(tmp_path):
    """And a batch for evaluation is normalized by them."""
    dataset = dataset_of(write_pictures(tmp_path / "data"))
    pixels = dataset.train.images.numpy().astype(np.float64) / 255
    assert dataset.spec.mean == pytest.approx(pixels.mean(axis=(0, 2, 3)), rel=1e-12)
    assert dataset.spec.std == pytest.approx(pixels.std(axis=(0, 2, 3)), rel=1e-12)
    images = torch.cat([b.images for b in dataset.evaluation_batches(dataset.train, 4)])
    assert images.mean(dim=(0, 2, 3)).tolist() == pytest.approx([0] * 3, abs=1e-5)
    assert images.std(dim=(0, 2, 3), correction=0).tolist() == pytest.approx([1] * 3, abs=1e-5)


@pytest.mark.parametrize("with_test", [True, False])
def test_train_val_and_test_folders_are_taken_as_they_are(tmp_path, with_test):
    """Without test/, a share of train/ is held out; val/ may lack a class."""
    parts = {"train": 10, "val": 3, "test": 2} if with_test else {"train": 10, "val": 3}
    for number, (part, each) in enumerate(parts.items()):
        write_pictures(tmp_path / part, each=each, first=20 * number)
    shutil.rmtree(tmp_path / "val/bee")
    dataset = dataset_of(tmp_path)
    assert dataset.val.labels.tolist() == [0, 0, 0]
    assert images_of(dataset.val) <= on_disk(tmp_path / "val")
    if with_test:
        assert images_of(dataset.train) == on_disk(tmp_path / "train")
        assert images_of(dataset.test) == on_disk(tmp_path / "test")
    else:
        assert dataset.test.labels.tolist() == [0, 1]
        assert images_of(dataset.train) | images_of(dataset.test) == on_disk(tmp_path / "train")


def test_a_class_may_be_called_train(tmp_path):
    dataset = dataset_of(write_pictures(tmp_path / "data", classes=("bus", "train")))
    assert dataset.spec.class_names == ("bus", "train")


def test_the_default_size_is_32_and_a_size_is_an_option(tmp_path):
    write_pictures(tmp_path / "data")
    assert TrialConfig(dataset="folder").image_size == 32
    assert dataset_of(tmp_path / "data", image_size=None).image_shape == (3, 32, 32)
    assert dataset_of(tmp_path / "data", image_size=40).image_shape == (3, 40, 40)


def fresh(folder: Path, **options: object):
    """As another process reads it."""
    loading._load.cache_clear()
    return dataset_of(folder, **options)


def test_many_pictures_are_decoded_once_into_a_mapped_file(tmp_path, monkeypatch):
    """The data set is that in memory. The file is used again: what is written to it is read."""
    folder = write_pictures(tmp_path / "data")
    few = dataset_of(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(class_folders, "MAPPED_FROM", 20)
    many = fresh(folder)
    assert isinstance(many.train, HostImages)
    assert many.digest == few.digest
    (path,) = (cache_folder() / "decoded").iterdir()
    np.save(path, np.zeros_like(np.load(path)))
    assert fresh(folder).train.images.max() == 0
    Image.new("RGB", (9, 9)).save(folder / "ant/new.png")
    assert fresh(folder).train.images.max() > 0
    assert len(list(path.parent.iterdir())) == 2


def test_processes_that_decode_many_pictures_give_the_same(tmp_path, monkeypatch):
    folder = write_pictures(tmp_path / "data")
    alone = dataset_of(folder)
    monkeypatch.setattr(class_folders, "CHUNK", 3)
    assert fresh(folder).digest == alone.digest


def repaint(folder: Path) -> None:
    """One pixel of one picture becomes another."""
    path = folder / "ant/00.png"
    with Image.open(path) as file:
        picture = file.convert("RGB")
    picture.putpixel((10, 10), (255, 255, 255) if picture.getpixel((10, 10))[0] < 128 else (0,) * 3)
    picture.save(path)
    os.utime(path, ns=(0, 0))


def move(folder: Path) -> None:
    """One picture is another class's."""
    (folder / "ant/00.png").rename(folder / "bee/moved.png")


@pytest.mark.parametrize("change", [repaint, move])
def test_a_changed_picture_or_label_changes_digest_and_keys_in_the_same_process(tmp_path, change):
    folder = write_pictures(tmp_path / "data")
    before, key = dataset_of(folder).digest, Trainer(config_of(folder)).next_key
    assert (dataset_of(folder).digest, Trainer(config_of(folder)).next_key) == (before, key)
    change(folder)
    assert dataset_of(folder).digest != before
    assert Trainer(config_of(folder)).next_key != key


def test_names_of_classes_and_of_the_folder_change_nothing_that_is_trained(tmp_path):
    one = write_pictures(tmp_path / "one")
    other = write_pictures(tmp_path / "other", classes=("cat", "dog"))
    assert dataset_of(one).digest == dataset_of(other).digest
    assert dataset_of(other).spec.class_names == ("cat", "dog")


def test_a_trial_is_resumed_bit_for_bit_unless_a_picture_has_changed(tmp_path, capsys):
    folder, out = write_pictures(tmp_path / "data"), tmp_path / "one"
    flags = [part for name, value in config_of(folder).given.items()
             for part in (f"--{name.replace('_', '-')}", value)]  # fmt: skip
    assert run(capsys, "train", *flags, "--out", out)[0] == 0
    alone = list(Trainer(config_of(folder)))
    assert read_study(out)["val_loss"].tolist() == [record.val_loss for record in alone]
    assert set(read_study(out)["config/dataset"]) == {"folder"}
    trainer = Trainer(config_of(folder))
    next(trainer)
    trainer.save(out / "state.safetensors")
    data = load_tensors(out / "state.safetensors")["data"]
    assert data["class_names"] == ["ant", "bee"] and data["pixel_max"] == 255
    assert tuple(data["mean"]) == trainer.task.dataset.spec.mean
    assert list(Trainer.load(out / "state.safetensors")) == alone[1:]
    repaint(folder)
    code, _, errors = run(capsys, "resume", out)
    assert code == 2 and errors.count("\n") == 1
    assert "have changed since the trial began (dataset 'folder'); restore them, or start" in errors


@pytest.mark.slow
@pytest.mark.long
def test_a_search_shares_one_copy_and_is_not_resumed_with_other_pictures(tmp_path, ray):
    """The pictures are gone when its trials run; the records are those of each trial alone."""

    folder, out = write_pictures(tmp_path / "data"), tmp_path / "study"
    kept = shutil.copytree(folder, tmp_path / "kept")
    space = {**config_of(folder).given, "epochs": 2}
    (tmp_path / "space.py").write_text(
        f"from ray import tune\nparam_space = {space!r} | {{'seed': tune.grid_search([0, 1])}}\n"
    )

    with once((out / "search.jsonl").exists, partial(shutil.rmtree, folder)):
        assert run_search(tmp_path / "space.py", out).failures == []
    rows = read_study(out)
    for seed, trial in rows.groupby("config/seed"):
        alone = list(Trainer(config_of(kept, epochs=2, seed=seed)))
        assert trial["val_loss"].tolist() == [record.val_loss for record in alone]
        assert trial["key"].tolist() == [record.key for record in alone]
    (data,) = json.loads((out / "study.json").read_text())["data"]
    assert data["class_names"] == ["ant", "bee"]
    shutil.copytree(kept, folder)
    assert resume_search(out).failures == []
    repaint(folder)
    assert "have changed since the search began; restore them" in error_of(resume_search, out)


def test_options_of_a_data_set_reach_what_is_loaded(tmp_path):
    folder = write_pictures(tmp_path / "data")
    plain, varied = dataset_of(folder), dataset_of(folder, augmentation="flip-crop")
    assert (plain.spec.flip, plain.spec.crop) == (False, 0)
    assert (varied.spec.flip, varied.spec.crop) == (True, 1)
    assert len(dataset_of(folder, test_fraction=0.4).test) == 8


def only_ant(folder: Path) -> None:
    shutil.rmtree(folder / "bee")


def parted(folder: Path, **parts: tuple[str, ...]) -> None:
    shutil.rmtree(folder)
    for part, classes in parts.items():
        write_pictures(folder / part, classes=classes)


BAD = {
    "must have a folder for each of at least 2 classes, but has only 'ant'": only_ant,
    "must have a folder for each of at least 2 classes, but has none": lambda d: (
        only_ant(d), shutil.rmtree(d / "ant")
    ),
    "cat has no *.JPEG, *.jpg or *.png; put the pictures": lambda d: (d / "cat").mkdir(),
    "train has class folders, but {0}/val is missing": lambda d: parted(d, train=("ant", "bee")),
    "train has class folders, but {0}/val has no class folders": lambda d: (
        parted(d, train=("ant", "bee")), (d / "val").mkdir()
    ),
    "val has class folders, but {0}/train is missing": lambda d: parted(d, val=("ant", "bee")),
    "val/cat is a class that {0}/train lacks": lambda d: parted(
        d, train=("ant", "bee"), val=("ant", "cat")
    ),
    "1 of 20 pictures cannot be read: {0}/ant/00.png; get the files again": lambda d: (
        d / "ant/00.png"
    ).write_bytes(b"<html>"),
    "pictures cannot be read: {0}/bee/01.JPEG; get": lambda d: (d / "bee/01.JPEG").write_bytes(
        (d / "bee/01.JPEG").read_bytes()[:-100]
    ),
    "{0}/ant/16.png (more than 8 bits a channel); get": lambda d: Image.fromarray(
        np.full((9, 9), 999, np.uint16)
    ).save(d / "ant/16.png"),
    "class 'ant' has 2 images to train on, but 1 of them would validate and 1 be held out": (
        lambda d: [path.unlink() for path in sorted((d / "ant").iterdir())[2:]]
    ),
}  # fmt: skip
"""What is said, with the folder as {0}; and what was done to it."""


@pytest.mark.parametrize("message", BAD)
def test_a_folder_that_cannot_be_is_refused_in_one_line(tmp_path, message):
    folder = write_pictures(tmp_path / "data")
    BAD[message](folder)
    assert message.replace("{0}", str(folder)) in error_of(dataset_of, folder)


def test_all_unreadable_pictures_are_named_or_the_first_ten(tmp_path):
    folder = write_pictures(tmp_path / "data")
    files = sorted(folder.glob("*/*"))
    for path in files[:10]:
        path.write_bytes(b"")
    expected = f"10 of 20 pictures cannot be read: {', '.join(map(str, files[:10]))}; get"
    assert expected in error_of(dataset_of, folder)
    for path in files[10:13]:
        path.write_bytes(b"x")
    expected = f"13 of 20 pictures cannot be read: {', '.join(map(str, files[:10]))} and 3 more; "
    assert expected in error_of(dataset_of, folder)


def test_options_that_do_not_fit_the_folder_are_refused_in_one_line(tmp_path):
    folder = write_pictures(tmp_path / "data")
    with_val = tmp_path / "parts"
    parted(write_pictures(with_val), train=("ant", "bee"), val=("ant", "bee"))
    for where, options, message in (
        (folder, {"split": "paper"}, "split 'paper' divides published data sets, but"),
        (with_val, {"val_fraction": 0.2}, "val_fraction=0.2 is given, but the data have validat"),
        (folder, {"val_fraction": 0.5, "test_fraction": 0.5}, "give smaller fractions"),
        (folder, {"data_dir": None}, "folder has no download; give as data_dir a folder with"),
        (folder, {"data_dir": "nowhere"}, "data_dir 'nowhere' is not a folder; give one with"),
    ):
        assert message in error_of(dataset_of, where, **options)
    for options, message in (
        ({"val_fraction": 0}, "val_fraction must be greater than 0"),
        ({"augmentation": "mirror"}, "unknown augmentation 'mirror'"),
        ({"dataset": "digits", "augmentation": "flip"}, "belongs to dataset 'arrays' or 'folder'"),
    ):
        assert message in error_of(config_of, folder, **options)


def test_a_search_over_a_bad_folder_ends_before_its_first_trial(tmp_path):
    folder = write_pictures(tmp_path / "data")
    (folder / "ant/00.png").write_bytes(b"")
    (tmp_path / "space.py").write_text(f"param_space = {dict(config_of(folder).given)!r}\n")
    said = error_of(run_search, tmp_path / "space.py", tmp_path / "study", trials=1)
    assert "1 of 20 pictures cannot be read" in said
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_camera_was_held(tmp_path, orientation):
    """The reference turns and mirrors pixels by the EXIF standard's table of orientations."""
    pixels = np.zeros((12, 12), dtype=np.uint8)
    pixels[:4, :8], pixels[:4, :4] = 120, 250  # no turn or reflection maps it to itself
    turned = {
        1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1],
        5: pixels.T, 6: np.rot90(pixels, -1), 7: pixels[::-1, ::-1].T, 8: np.rot90(pixels),
    }  # fmt: skip
    write_pictures(tmp_path / "data", each=9, mode="L")
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "data/ant/99.png"
    Image.fromarray(pixels).save(path, exif=exif)
    dataset = dataset_of(tmp_path / "data", image_size=12)
    every = [image for s in (dataset.train, dataset.val, dataset.test) for image in s.images]
    assert any(np.array_equal(image[0], turned[orientation]) for image in every)
    with Image.open(path) as file:
        assert np.array_equal(np.asarray(upright(file)), turned[orientation])


def test_a_picture_with_damaged_exif_data_is_read_as_it_is(tmp_path):
    write_pictures(tmp_path / "data", each=9)
    damaged = b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0"
    Image.new("RGB", (30, 30), (7, 7, 7)).save(tmp_path / "data/ant/99.jpg", exif=damaged)
    dataset = dataset_of(tmp_path / "data")
    every = [image for s in (dataset.train, dataset.val, dataset.test) for image in s.images]
    assert len(every) == 19 and any(bool((image == 7).all()) for image in every)
