"""Divides a user's own images, and measures what normalizes them."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from growsearch.tasks.images.divisions import divided
from growsearch.tasks.images.images import Parts, Split
from growsearch.tasks.images.own import OwnImages
from growsearch.tasks.images.spec import DataSpec
from growsearch.trial.errors import InputError

FRACTION = 0.1
"""The share of each class that validates, or is held out as test, if none is given."""
_AT_ONCE = 1000
_BYTE = 255


def own_parts(
    source: OwnImages, names: tuple[str, ...], train: Split, val: Split | None, test: Split | None
) -> Parts:
    """`train`, divided as `source` says where `val` or `test` are None; the spec is measured.

    `names` are those of the classes, by label. Raises InputError if a class has too few images, or
    a share is given beside the images that it would be of.
    """
    given = {
        "val_fraction": (source.val_fraction, val), "test_fraction": (source.test_fraction, test)
    }  # fmt: skip
    for option, (fraction, images) in given.items():
        if fraction is not None and images is not None:
            what = "validation" if images is val else "test"
            raise InputError(
                f"{option}={fraction:g} is given, but the data have {what} images of their own; "
                f"leave {option} out"
            )
    counts = train.labels.bincount(minlength=len(names)).tolist()
    wanted = [
        [0 if images is not None else _share(count, fraction or FRACTION) for count in counts]
        for fraction, images in given.values()
    ]
    for name, count, for_val, for_test in zip(names, counts, *wanted, strict=True):
        if count <= for_val + for_test:
            raise InputError(
                f"class {name!r} has {count} images to train on, but {for_val} of them would "
                f"validate and {for_test} be held out as test, which leaves none; add images, give "
                "smaller fractions, or remove the class"
            )
    if test is None:
        train, test = divided(train, wanted[1])
    if val is None:
        train, val = divided(train, wanted[0])
    return Parts(train, val, test, measured(train, names, source.augmentation))


def _share(count: int, fraction: float) -> int:
    """How many of a class's images are held out: at least one."""
    return max(round(fraction * count), 1)


def measured(train: Split, names: tuple[str, ...], augmentation: str | None) -> DataSpec:
    """The spec of images with the mean and deviation of `train`, by channel.

    Bytes are scaled to 0 to 1 first, floats are taken as they are. A channel of one value has the
    deviation 1. The results are the same on every machine.
    """
    of_bytes = next(train.batches(1)).images.dtype == torch.uint8
    mean, std = _of_bytes(train) if of_bytes else _of_floats(train)
    side = min(train.image_shape[1:])
    return DataSpec(
        classes=len(names), val_per_class=0, pixel_max=_BYTE if of_bytes else 1,
        mean=tuple(mean), std=tuple(deviation or 1.0 for deviation in std),
        flip=augmentation in ("flip", "flip-crop"),
        crop=max(side // 8, 1) if augmentation in ("crop", "flip-crop") else 0,
        class_names=names,
    )  # fmt: skip


def _of_bytes(train: Split) -> tuple[list[float], list[float]]:
    """By sums of integers, which are exact."""
    n = len(train) * math.prod(train.image_shape[1:])
    sums = _summed(train, lambda x: x.long())
    squares = _summed(train, lambda x: x.long() ** 2)
    mean = [total / (n * _BYTE) for total in sums]
    both = zip(sums, squares, strict=True)
    return mean, [math.sqrt(n * square - total**2) / (n * _BYTE) for total, square in both]


def _of_floats(train: Split) -> tuple[list[float], list[float]]:
    """Rounded to seven digits, because machines add in another order."""
    n = len(train) * math.prod(train.image_shape[1:])
    mean = [total / n for total in _summed(train, lambda x: x.double())]
    centre = torch.tensor(mean, dtype=torch.float64)[:, None]
    squares = _summed(train, lambda x: (x.double() - centre) ** 2)
    std = [math.sqrt(total / n) for total in squares]
    return [_rounded(value) for value in mean], [_rounded(value) for value in std]


def _rounded(value: float) -> float:
    return float(f"{value:.7g}")


def _summed(train: Split, of: Callable[[Tensor], Tensor]) -> list[Any]:
    """The sum over all pixels of each channel; `of` takes them as [channels, pixels]."""
    sums = [
        of(batch.images.transpose(0, 1).flatten(1)).sum(1).tolist()
        for batch in train.batches(_AT_ONCE)
    ]
    return [sum(channel) for channel in zip(*sums, strict=True)]
