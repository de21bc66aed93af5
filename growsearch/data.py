"""Data sets: their splits, and batches that are made on the device.

Images are uint8 [n, channels, height, width], labels int64 [n].
"""

import gzip
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from growsearch.errors import InputError
from growsearch.randomness import generator

DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


@dataclass(frozen=True)
class Images:
    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Tensor) -> "Images":
        return Images(self.images[index], self.labels[index])

    def to(self, device: torch.device) -> "Images":
        return Images(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Dataset:
    """Three disjoint splits: `val` steers growth and search, `test` is recorded only."""

    train: Images
    val: Images
    test: Images
    classes: int
    pixel_max: int
    mean: float
    std: float
    flip: bool
    """Whether training images are mirrored left to right half of the time."""
    crop: int
    """Training images are shifted by up to so many pixels, black coming in (pad and crop)."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    def to(self, device: torch.device) -> "Dataset":
        splits = {name: getattr(self, name).to(device) for name in ("train", "val", "test")}
        return replace(self, **splits)

    def subset(self, train_size: int, seed: int) -> "Dataset":
        """The same data set with `train_size` training images, as many of each class as can be.

        Raises InputError if there are not so many.
        """
        if train_size > len(self.train):
            raise InputError(
                f"train_size must be at most {len(self.train)}, the training images that there "
                f"are, but got {train_size}"
            )
        counts = np.bincount(self.train.labels.numpy(), minlength=self.classes)
        wanted = _balanced(counts, train_size)
        chosen = _draw_by_class(self.train.labels, wanted, generator(seed, 0, "training subset"))
        return replace(self, train=self.train[chosen])

    def training_batches(self, batch_size: int, seed: int, epoch: int) -> Iterator[Images]:
        """One pass over the training images; order and augmentation are drawn for this epoch."""
        device, n = self.train.labels.device, len(self.train)
        draw = generator(seed, epoch, "training batches")
        order = torch.randperm(n, generator=draw).to(device)
        mirrored = (torch.rand(n, generator=draw) < 0.5).to(device)
        shifts = torch.randint(2 * self.crop + 1, (2, n), generator=draw).to(device)
        for start in range(0, n, batch_size):
            batch = self.train[order[start : start + batch_size]]
            images = batch.images
            if self.flip:
                mirror = mirrored[start : start + batch_size, None, None, None]
                images = torch.where(mirror, images.flip(3), images)
            if self.crop:
                images = _cropped(images, self.crop, *shifts[:, start : start + batch_size])
            yield Images(self._normalized(images), batch.labels)

    def evaluation_batches(self, split: Images, batch_size: int) -> Iterator[Images]:
        for images, labels in zip(
            split.images.split(batch_size), split.labels.split(batch_size), strict=True
        ):
            yield Images(self._normalized(images), labels)

    def _normalized(self, images: Tensor) -> Tensor:
        return (images.float() / self.pixel_max - self.mean) / self.std


def _cropped(images: Tensor, padding: int, down: Tensor, right: Tensor) -> Tensor:
    """Each image cut at its size out of itself padded with zeros, at row `down`, column `right`."""
    n, _, height, width = images.shape
    padded = F.pad(images, [padding] * 4)
    rows = down[:, None] + torch.arange(height, device=images.device)
    columns = right[:, None] + torch.arange(width, device=images.device)
    image = torch.arange(n, device=images.device)[:, None, None]
    cut = padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]]
    return cut.permute(0, 3, 1, 2)


@lru_cache(maxsize=4)
def load_dataset(name: str, data_dir: str | None = None) -> Dataset:
    """The data set `name` on the CPU; InputError if its files are missing or damaged."""
    return _LOADERS[name](data_dir)


def _digits(data_dir: str | None) -> Dataset:
    """scikit-learn's 1,797 digits of 8x8 pixels from 0 to 16: 1,197 / 300 / 300 images."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.tensor(bunch.images, dtype=torch.uint8)[:, None]
    everything = Images(images, torch.tensor(bunch.target, dtype=torch.int64))
    rest, test = _split(everything, per_class=30)
    train, val = _split(rest, per_class=30)
    return Dataset(
        train, val, test, classes=10, pixel_max=16, mean=0.3049, std=0.3758, flip=False, crop=1
    )


def _fashion_mnist(data_dir: str | None) -> Dataset:
    """70,000 images of 28x28 pixels: 55,000 / 5,000 / 10,000, validation out of training."""
    folder = _fashion_mnist_folder(data_dir)
    train, val = _split(_read_images(folder, "train", classes=10), per_class=500)
    test = _read_images(folder, "t10k", classes=10)
    return Dataset(
        train, val, test, classes=10, pixel_max=255, mean=0.2860, std=0.3530, flip=True, crop=0
    )


_LOADERS = {"digits": _digits, "fashion-mnist": _fashion_mnist}


def _balanced(available: np.ndarray, total: int) -> list[int]:
    """`total` spread evenly over the classes; what a small class lacks, the others give."""
    wanted = np.zeros_like(available)
    while (missing := total - int(wanted.sum())) > 0:
        open_classes = np.flatnonzero(wanted < available)
        share = max(missing // len(open_classes), 1)
        for label in open_classes[:missing]:
            wanted[label] = min(wanted[label] + share, available[label])
    return [int(n) for n in wanted]


def _draw_by_class(labels: Tensor, wanted: list[int], draw: torch.Generator) -> Tensor:
    """Indices, in rising order, of `wanted[label]` images of each class drawn at random."""
    chosen = []
    for label, count in enumerate(wanted):
        members = torch.nonzero(labels == label).flatten()
        chosen.append(members[torch.randperm(len(members), generator=draw)[:count]])
    return torch.cat(chosen).sort().values


def _split(images: Images, per_class: int) -> tuple[Images, Images]:
    """The rest, and `per_class` images of each class: the same ones whatever a trial's seed."""
    classes = int(images.labels.max()) + 1
    draw = generator(0, 0, "held-out split")
    held_out = _draw_by_class(images.labels, [per_class] * classes, draw)
    rest = torch.ones(len(images), dtype=torch.bool)
    rest[held_out] = False
    return images[rest.nonzero().flatten()], images[held_out]


_IDX_NAMES = [
    f"{split}-{kind}" for split in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
]


def _fashion_mnist_folder(data_dir: str | None) -> Path:
    """`data_dir`, else Debian's folder, else torchvision's copy, downloaded if need be."""
    if data_dir is not None:
        given = Path(data_dir).expanduser()
        if not given.is_dir():
            raise InputError(f"data_dir {data_dir!r} is not a folder; give one with {_idx_list()}")
        for folder in (given, given / "FashionMNIST" / "raw"):
            if _has_idx_files(folder):
                return folder
        raise InputError(f"data_dir {data_dir!r} lacks Fashion-MNIST's files: {_idx_list()}")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "growsearch"
    for folder in (DEBIAN_FASHION_MNIST, cache / "FashionMNIST" / "raw"):
        if _has_idx_files(folder):
            return folder
    return _download_fashion_mnist(cache)


def _download_fashion_mnist(root: Path) -> Path:
    from torchvision.datasets import FashionMNIST

    try:
        FashionMNIST(str(root), download=True)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"fashion-mnist is not on this machine and its download failed ({_one_line(error)}); "
            "on Debian, apt-get install dataset-fashion-mnist, or give its folder as data_dir"
        ) from error
    return root / "FashionMNIST" / "raw"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _idx_list() -> str:
    return ", ".join(f"{name}-ubyte[.gz]" for name in _IDX_NAMES)


def _idx_path(folder: Path, name: str) -> Path | None:
    candidates = (folder / f"{name}-ubyte{suffix}" for suffix in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)


def _has_idx_files(folder: Path) -> bool:
    return all(_idx_path(folder, name) for name in _IDX_NAMES)


def _read_images(folder: Path, split: str, classes: int) -> Images:
    images_path = _idx_path(folder, f"{split}-images-idx3")
    labels_path = _idx_path(folder, f"{split}-labels-idx1")
    assert images_path and labels_path
    images = read_idx(images_path, dimensions=3)[:, None]
    labels = read_idx(labels_path, dimensions=1).long()
    if len(images) != len(labels):
        raise InputError(
            f"{images_path} has {len(images)} images but {labels_path} has {len(labels)} labels; "
            "get both files again"
        )
    if int(labels.max()) >= classes:
        raise InputError(
            f"{labels_path} has label {int(labels.max())}, but there are {classes} classes; "
            "get the file again"
        )
    return Images(images, labels)


def read_idx(path: Path, dimensions: int) -> Tensor:
    """A uint8 array from an IDX file, gzipped or not; InputError if it is damaged or cut short.

    The format is a big-endian header (0, 0, 8 for uint8, number of dimensions, then each size in
    four bytes) and the values in C order.
    """
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise InputError(
            f"{path} cannot be read ({_one_line(error)}); get the file again"
        ) from error
    header = 4 + 4 * dimensions
    if raw[:4] != bytes((0, 0, 8, dimensions)) or len(raw) < header:
        raise InputError(
            f"{path} is not an IDX file of {dimensions}-dimensional bytes; get the file again"
        )
    shape = np.frombuffer(raw, ">u4", count=dimensions, offset=4).astype(int)
    if len(raw) != header + shape.prod():
        raise InputError(
            f"{path} holds {len(raw) - header:,} of the {shape.prod():,} bytes that its header "
            "promises; get the file again"
        )
    return torch.from_numpy(np.frombuffer(raw, np.uint8, offset=header).reshape(shape).copy())
