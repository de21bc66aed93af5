"""Arrays of a user's own images: in a .npz file, and in Python."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT, first_quick, run

from growsearch import Dataset, DataSpec, Images, InputError, Trainer, TrialConfig
from growsearch.epochs.store import EpochStore
from growsearch.study.results import read_study
from growsearch.tasks.images.loading import load_dataset
from growsearch.tuning.tuner import resume_search, run_search

TINY = {
    "policy": "none", "architecture": "1-1-1", "epochs": 3, "lr": 0.05, "batch_size": 8,
    "precision": "float32", "compile": "off", "device": "cpu",
}  # fmt: skip
RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (40, 8, 9), dtype=np.uint8)
Y = np.arange(40) % 2
COLOUR = RNG.integers(0, 256, (40, 8, 9, 3), dtype=np.uint8)
FLOATS = RNG.normal(3, 2, (40, 8, 9)).astype(np.float32)


def saved(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)
    return path


def dataset_of(path: Path, **options: object) -> Dataset:
    return TrialConfig(**TINY, dataset="arrays", data_dir=str(path), **options).task.dataset


def whole(split) -> list[bytes]:
    return [image.tobytes() for image in split.images.numpy()]


def error_of(do, *arguments: object, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        do(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("images", [X, COLOUR, FLOATS], ids=["grey", "colour", "float"])
def test_images_are_divided_by_class_and_normalized_as_by_numpy(images):
    dataset = Dataset.from_arrays(images, Y, val=0.2, test=0.1)
    splits = (dataset.train, dataset.val, dataset.test)
    assert [split.labels.bincount().tolist() for split in splits] == [[14] * 2, [4] * 2, [2] * 2]
    channels_first = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    by_content = dict(zip((image.tobytes() for image in channels_first), Y, strict=True))
    for split in splits:
        assert [by_content.pop(image) for image in whole(split)] == split.labels.tolist()
    assert not by_content
    scale = 255 if images.dtype == np.uint8 else 1
    pixels = dataset.train.images.numpy().astype(np.float64) / scale
    assert dataset.spec.mean == pytest.approx(pixels.mean(axis=(0, 2, 3)), rel=1e-6)
    assert dataset.spec.std == pytest.approx(pixels.std(axis=(0, 2, 3)), rel=1e-6)
    batch = next(dataset.evaluation_batches(dataset.val, 100)).images.numpy()
    pixels = dataset.val.images.numpy().astype(np.float64) / scale
    mean, std = (np.array(v)[:, None, None] for v in (dataset.spec.mean, dataset.spec.std))
    assert np.allclose(batch, (pixels - mean) / std, atol=1e-5)


def test_channels_may_be_first_or_last_and_floats_of_any_precision():
    last, first = COLOUR, COLOUR.transpose(0, 3, 1, 2)
    assert Dataset.from_arrays(last, Y).digest == Dataset.from_arrays(first, Y).digest
    exact = Dataset.from_arrays(FLOATS.astype(np.float64), Y)
    assert exact.digest == Dataset.from_arrays(FLOATS, Y).digest
    assert exact.train.images.dtype == torch.float32


def test_a_channel_of_one_value_has_deviation_1():
    constant = COLOUR.copy()
    constant[..., 1] = 51
    spec = Dataset.from_arrays(constant, Y).spec
    assert spec.mean[1] == pytest.approx(0.2) and spec.std[1] == 1


@pytest.mark.parametrize(
    ("labels", "names", "expected"),
    [
        (np.array([7, -2])[Y], None, ([1, 0], ("-2", "7"))),
        (np.array(["dog", "cat"])[Y], None, ([1, 0], ("cat", "dog"))),
        (np.array(["dog", "cat"], dtype=object)[Y], None, ([1, 0], ("cat", "dog"))),
        (np.array(["dog", "cat"])[Y], ["dog", "cat"], ([0, 1], ("dog", "cat"))),
        (Y.astype(np.uint8), ["dog", "cat"], ([0, 1], ("dog", "cat"))),
        (Y.astype(bool), None, ([0, 1], ("False", "True"))),
        (Y.tolist(), None, ([0, 1], ("0", "1"))),
        (torch.tensor(Y), None, ([0, 1], ("0", "1"))),
    ],
)
def test_any_labels_are_classes(labels, names, expected):
    dataset = Dataset.from_arrays(X, labels, val=(X, labels), test=(X, labels), class_names=names)
    assert (dataset.train.labels[:2].tolist(), dataset.spec.class_names) == expected
    assert dataset.val.labels.tolist() == dataset.train.labels.tolist()


def test_names_of_built_in_classes_are_known_by_label():
    names = load_dataset("digits").spec.class_names
    assert names == tuple("0123456789")


def test_validation_and_test_images_may_be_given(tmp_path):
    path = saved(
        tmp_path / "data.npz", X=X[:20], y=Y[:20], X_val=X[20:30], y_val=Y[20:30], X_test=X[30:],
        y_test=Y[30:], class_names=["no", "yes"],
    )  # fmt: skip
    dataset = dataset_of(path)
    pairs = zip((dataset.train, dataset.val, dataset.test), (X[:20], X[20:30], X[30:]), strict=True)
    for split, images in pairs:
        assert np.array_equal(split.images[:, 0].numpy(), images)
    assert dataset.spec.class_names == ("no", "yes")
    in_python = Dataset.from_arrays(X[:20], Y[:20], (X[20:30], Y[20:30]), (X[30:], Y[30:]))
    assert in_python.digest == dataset.digest


def test_what_the_user_does_to_the_arrays_later_does_not_reach_the_data_set():
    images = X.copy()
    dataset = Dataset.from_arrays(images, Y)
    before = whole(dataset.train)
    images[:] = 0
    assert whole(dataset.train) == before


def test_a_configuration_says_that_it_trains_on_arrays_and_on_which():
    dataset = Dataset.from_arrays(X, Y, val=0.2)
    config = Trainer(TrialConfig(**TINY), dataset=dataset).config
    assert (config.dataset.name, config.data_dir) == ("arrays", f"memory:{dataset.digest[:16]}")
    assert (config.val_fraction, config.test_fraction) == (0.2, 0.1)
    assert TrialConfig.from_flat(config.to_flat()) == config


def test_a_data_set_put_together_by_hand_is_arrays_too():
    images = Images(torch.from_numpy(X)[:, None], torch.from_numpy(Y))
    spec = DataSpec(classes=2, val_per_class=0, mean=(0.5,), std=(0.3,))
    config = Trainer(TrialConfig(**TINY), dataset=Dataset(images, images, images, spec)).config
    assert config.dataset.name == "arrays" and config.data_dir.startswith("memory:")


def test_a_loaded_data_set_keeps_its_name():
    dataset = load_dataset("digits")
    assert Trainer(TrialConfig(**TINY), dataset=dataset).config.dataset.name == "digits"


@pytest.mark.parametrize("change", ["pixel", "label", "division", "float"])
def test_what_changes_training_changes_digest_and_keys(change):
    images, labels, val = FLOATS.copy(), Y.copy(), 0.2
    before = Dataset.from_arrays(images, labels, val)
    if change in ("pixel", "float"):
        images[17, 3, 3] = 1 if change == "pixel" else np.nextafter(images[17, 3, 3], 9)
    elif change == "label":
        labels[[4, 5]] = labels[[5, 4]]
    else:
        val = 0.3
    after = Dataset.from_arrays(images, labels, val)
    keys = [Trainer(TrialConfig(**TINY), dataset=d).next_key for d in (before, after)]
    assert before.digest != after.digest and keys[0] != keys[1]


def test_arrays_in_python_and_in_a_file_train_the_same_epochs(tmp_path):
    """The second trial finds all its epochs in the store."""
    store = EpochStore(str(tmp_path / "store"))
    dataset = Dataset.from_arrays(FLOATS, Y)
    first = list(Trainer(TrialConfig(**TINY), dataset=dataset, store=store))
    path = saved(tmp_path / "data.npz", X=FLOATS, y=Y)
    config = TrialConfig(**TINY, dataset="arrays", data_dir=str(path))
    second = list(Trainer(config, store=store))
    assert [record.val_loss for record in second] == [record.val_loss for record in first]
    assert all(record.reused for record in second)
    other = TrialConfig(**TINY, dataset="arrays", data_dir=str(path), augmentation="flip")
    assert not any(record.reused for record in Trainer(other, store=store))


def test_a_trial_on_arrays_is_resumed_with_the_same_arrays_alone(tmp_path):
    dataset, config = Dataset.from_arrays(COLOUR, Y, augmentation="crop"), TrialConfig(**TINY)
    alone = list(Trainer(config, dataset=dataset))
    trainer, path = Trainer(config, dataset=dataset), tmp_path / "state.safetensors"
    next(trainer)
    trainer.save(path)
    again = Dataset.from_arrays(COLOUR, Y, augmentation="crop")
    assert list(Trainer.load(path, dataset=again)) == alone[1:]
    assert "are on no disk; give them again, as dataset=Dataset.from_arr" in error_of(
        Trainer.load, path
    )
    others = Dataset.from_arrays(COLOUR, 1 - Y, augmentation="crop")
    assert "give the same images and labels, divided alike" in error_of(
        Trainer.load, path, dataset=others
    )


def test_arrays_beside_other_data_are_refused():
    dataset = Dataset.from_arrays(X, Y)
    for options, message in (
        ({"dataset": "mnist"}, "dataset='mnist' is given beside arrays, for which it is 'arrays'"),
        ({"data_dir": "x.npz", "dataset": "arrays"}, "data_dir='x.npz' is given beside arrays"),
        ({"val_fraction": 0.3, "dataset": "arrays"}, "for which it is 0.1; leave val_fraction out"),
        ({"split": "paper"}, "split='paper' is given beside arrays; leave split out"),
    ):
        assert message in error_of(Trainer, TrialConfig(**TINY, **options), dataset=dataset)


def test_a_file_that_has_changed_is_not_resumed(tmp_path, capsys):
    path, out = saved(tmp_path / "data.npz", X=X, y=Y), tmp_path / "one"
    given = {**TINY, "dataset": "arrays", "data_dir": str(path), "epochs": 1}
    flags = [part for name, v in given.items() for part in (f"--{name.replace('_', '-')}", v)]
    assert run(capsys, "train", *flags, "--out", out)[0] == 0
    assert set(read_study(out)["config/dataset"]) == {"arrays"}
    assert run(capsys, "resume", out)[0] == 0
    saved(path, X=255 - X, y=Y)
    code, _, errors = run(capsys, "resume", out)
    assert code == 2 and errors.count("\n") == 1
    assert f"images or labels of data_dir '{path}' have changed since the trial began" in errors


@pytest.mark.long
def test_a_search_over_a_file_has_the_records_of_each_trial_alone(tmp_path, ray):
    path, out = saved(tmp_path / "data.npz", X=FLOATS, y=Y), tmp_path / "study"
    space = {**TINY, "dataset": "arrays", "data_dir": str(path)}
    (tmp_path / "space.py").write_text(
        f"from ray import tune\nparam_space = {space!r} | {{'seed': tune.grid_search([0, 1])}}\n"
    )
    assert run_search(tmp_path / "space.py", out).failures == []
    for seed, trial in read_study(out).groupby("config/seed"):
        alone = list(Trainer(TrialConfig(**space, seed=seed)))
        assert trial["val_loss"].tolist() == [record.val_loss for record in alone]
    saved(path, X=FLOATS + 1, y=Y)
    assert "have changed since the search began" in error_of(resume_search, out)


ONE_HOT = np.eye(2)[Y]
BAD_ARRAYS = {
    "X has 40 images, but y has 39 labels; give a label for each image": (X, Y[:-1]),
    "X has dtype int64, but must be uint8 or float32; convert it": (X.astype(int), Y),
    "X has shape (40, 72), but must be (N, H, W), (N, H, W, C) or": (X.reshape(40, 72), Y),
    "X has shape (40, 8, 9, 7), but must be (N, H": (np.zeros((40, 8, 9, 7), np.uint8), Y),
    "X has shape (40, 3, 8, 3), which does not tell whether channels are first": (
        np.zeros((40, 3, 8, 3), np.uint8), Y
    ),
    "X has shape (0, 8, 9), but must be": (X[:0], Y),
    "X is no array (": ([[1, 2], [3]], Y),
    "X has NaN or infinity (as float32) in 2 of 40 images, the first at index 5": (
        np.where(np.isin(np.arange(40), (5, 9))[:, None, None], np.nan, FLOATS), Y
    ),
    "X has NaN or infinity (as float32) in 1 of 40 images, the first at index 0": (
        np.where(np.arange(40)[:, None, None] == 0, 1e300, FLOATS.astype(float)), Y
    ),
    "y has one class only, '0'; give images of at least 2 classes": (X, 0 * Y),
    "y has shape (40, 2), but must be (N,), a class for each image": (X, ONE_HOT),
    "y has dtype float64, but classes must be integers or text": (X, Y / 1),
    "class '1' has 2 images to train on, but 1 of them would validate and 1": (
        X, np.arange(40) >= 38
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", BAD_ARRAYS)
def test_arrays_that_cannot_be_are_refused_in_one_line_in_python_and_from_a_file(message, tmp_path):
    images, labels = BAD_ARRAYS[message]
    said = error_of(Dataset.from_arrays, images, labels)
    number = message.replace("'1'", "'True'") if np.asarray(labels).dtype == bool else message
    assert number in said
    if isinstance(images, np.ndarray):
        path = saved(tmp_path / "data.npz", X=images, y=labels)
        assert error_of(dataset_of, path) == said


def test_names_and_parts_that_do_not_fit_are_refused_in_one_line():
    for options, message in (
        ({"class_names": ["a"]}, "y has the label 1, but there are 1 class_names, so that labels"),
        ({"class_names": ["a", "b", "c"]}, "class_names has 'c', but y has no image of it; leave"),
        ({"class_names": ["a", "a"]}, "class_names has a name twice"),
        ({"val": (X, Y + 1)}, "y_val has the label 2, but y has no image of that class; remove"),
        ({"val": (X[:3], Y)}, "X_val has 3 images, but y_val has 40 labels"),
        ({"val": (FLOATS, Y)}, "images of X_val have dtype torch.float32, but those of X have"),
        ({"test": (COLOUR, Y)}, "images of X_test have shape (channels, height, width) (3, 8, 9)"),
        ({"val": 0}, "val_fraction must be greater than 0"),
        ({"val": 0.5, "test": 0.5}, "which leaves none; add images, give smaller fractions"),
        ({"augmentation": "mirror"}, "unknown augmentation 'mirror'"),
    ):
        assert message in error_of(Dataset.from_arrays, X, Y, **options)


def test_a_file_that_cannot_be_is_refused_in_one_line(tmp_path):
    (tmp_path / "text.npz").write_text("no zip")
    np.save(tmp_path / "one.npy", X)
    cut = saved(tmp_path / "cut.npz", X=X, y=Y)
    cut.write_bytes(cut.read_bytes()[:-200])
    for path, message in (
        (tmp_path / "nowhere.npz", "nowhere.npz' is not a file; give an .npz file with X, y, and"),
        (tmp_path / "text.npz", "text.npz cannot be read as an .npz file ("),
        (tmp_path / "one.npy", "one.npy cannot be read as an .npz file (it has one array alone)"),
        (cut, "cut.npz cannot be read as an .npz file ("),
        (saved(tmp_path / "x.npz", X=X), "x.npz has no array 'y'; give an .npz file with"),
        (saved(tmp_path / "y.npz", y=Y), "y.npz has no array 'X'; give an .npz file with"),
        (saved(tmp_path / "z.npz", X=X, y=Y, x_val=X), "has an array 'x_val'; give an .npz file"),
        (saved(tmp_path / "v.npz", X=X, y=Y, X_val=X), "has X_val alone; give both X_val and y_v"),
        (
            saved(tmp_path / "o.npz", X=X, y=np.array(["a", None] * 20, dtype=object)),
            "array 'y' of",
        ),
        ("memory:0", "data_dir 'memory:0' is arrays that were given in Python"),
    ):
        assert message in error_of(dataset_of, path)
    assert "arrays has no download; give as data_dir an .npz file" in error_of(
        lambda: TrialConfig(**TINY, dataset="arrays").task.dataset
    )


@pytest.mark.parametrize("example", first_quick(["own_images.py", "own_arrays.py"], 1))
def test_each_example_is_under_40_lines_and_trains_two_epochs(example, capsys):
    import runpy

    path = ROOT / "examples" / example
    assert len(path.read_text().splitlines()) < 40
    runpy.run_path(str(path))
    shown = capsys.readouterr().out
    assert "epoch 1: " in shown and "epoch 2: " in shown
