"""Small folders of pictures that are laid out like ImageNet, and what is read from them."""

from pathlib import Path

import torch
from PIL import Image

from growsearch.tasks.images import streamed
from growsearch.tasks.images.dataset import Dataset
from growsearch.tasks.images.loading import load_dataset


def colour(label: int, number: int) -> tuple[int, int, int]:
    return 60 * label, 12 * number, 128


def write(root: Path, train: int = 6, val: int = 3, classes: int = 2) -> Path:
    """Pictures of one colour each, which JPEG keeps; numbers of `val` go on where `train`'s end."""
    names, suffixes = ["n02", "n01", "n03"], ["JPEG", "jpg", "jpeg", "PNG"]
    for label, name in enumerate(sorted(names[:classes])):
        for part, numbers in (("train", range(train)), ("val", range(train, train + val))):
            (root / part / name).mkdir(parents=True)
            for n in numbers:
                picture = Image.new("RGB", (40 + n, 30), colour(label, n))
                picture.save(root / part / name / f"{n:02}.{suffixes[n % 4]}")
    return root


def dataset_of(root: Path, split: str = "autogrow-paper") -> Dataset:
    return load_dataset("imagenet", str(root), split)


def epoch_of(dataset, seed=0, epoch=1, batch_size=4):
    batches = list(dataset.training_batches(batch_size, seed, epoch))
    return torch.cat([b.images for b in batches]), torch.cat([b.labels for b in batches])


def evaluated(dataset, split, batch_size=4):
    batches = list(dataset.evaluation_batches(split, batch_size))
    return torch.cat([b.images for b in batches]), torch.cat([b.labels for b in batches])


def use_workers(monkeypatch, workers: int, chunk: int = 3) -> None:
    monkeypatch.setattr(streamed, "_workers", lambda _: workers)
    monkeypatch.setattr(streamed, "CHUNK", chunk)
