"""What the `read` of a data set gives, checked against what its spec says."""

import math
from typing import Any

import torch
from torch import Tensor

from growsearch.tasks.images.images import Images, Split
from growsearch.tasks.images.source import ImageSource
from growsearch.tasks.images.spec import DataSpec
from growsearch.trial.errors import InputError

Read = tuple[Split, Split | None, DataSpec]


def read_images(source: ImageSource, data_dir: str | None) -> Read:
    """Training and test images of `source`, and what is known of them.

    Raises InputError if they are no labelled images, or not those of the spec.
    """
    given: Any = source.read(data_dir)
    name = source.name
    if not (_is_pair(given) and isinstance(given[0], Split)):
        raise InputError(
            f"read of dataset {name!r} returned {_what(given)}; return a pair of Images, to train "
            "on and to test on, or of Images and None"
        )
    train, test = given
    parts = {f"training images of dataset {name!r}": train}
    if test is not None:
        parts[f"test images of dataset {name!r}"] = test
    for named, split in parts.items():
        _check_labelled(named, split)
    spec = source.spec_of(train)
    _check_spec(name, spec)
    for named, split in parts.items():
        _check_fits(named, split, spec)
    if test is not None:
        check_alike(*parts.items())
    return train, test, spec


def check_alike(one: tuple[str, Split], other: tuple[str, Split]) -> None:
    """InputError unless the images of both, each with its name, have equal type and shape."""
    (name, split), (others_name, others) = one, other
    if isinstance(split, Images) and isinstance(others, Images):
        _check_equal("dtype", name, split.images.dtype, others_name, others.images.dtype)
    _check_equal(
        "shape (channels, height, width)", name, split.image_shape, others_name, others.image_shape
    )


def _check_equal(what: str, name: str, value: object, others_name: str, others: object) -> None:
    if value != others:
        raise InputError(
            f"{others_name} have {what} {others}, but {name} have {value}; convert them alike"
        )


def _is_pair(given: object) -> bool:
    is_pair = isinstance(given, tuple | list) and len(given) == 2
    return is_pair and (given[1] is None or isinstance(given[1], Split))  # type: ignore[index]


def _what(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of {value.dtype} and shape {tuple(value.shape)}"
    if isinstance(value, tuple | list):
        kinds = ", ".join(type(part).__name__ for part in value[:3])
        return f"a {type(value).__name__} of {len(value)} ({kinds})"
    return type(value).__name__


def _check_labelled(named: str, split: Split) -> None:
    labels: object = split.labels
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.dim() != 1:
        raise InputError(
            f"labels of {named} are {_what(labels)}; give a tensor of torch.int64 and shape (N,), "
            "a class from 0 on for each image"
        )
    if not len(labels):
        raise InputError(f"{named} are none; give some, or None in place of test images")
    if not isinstance(split, Images):
        return
    images: object = split.images
    is_tensor = isinstance(images, Tensor) and images.dim() == 4
    if not is_tensor or images.dtype == torch.bool or images.is_complex():  # type: ignore
        raise InputError(
            f"{named} are {_what(images)}; give a tensor of uint8 or float32 and shape (N, "
            "channels, height, width)"
        )
    if len(split.images) != len(labels):
        raise InputError(
            f"{named} are {len(split.images)}, but there are {len(labels)} labels; give a label "
            "for each image"
        )


def _check_spec(name: str, spec: object) -> None:
    """InputError unless it is a spec of classes that can be told apart and of pixels."""
    if not isinstance(spec, DataSpec):
        raise InputError(f"spec of dataset {name!r} is {_what(spec)}; give a DataSpec")
    if spec.classes < 2:
        raise InputError(f"dataset {name!r} has classes={spec.classes}; give 2 or more")
    names = spec.class_names
    if names is not None and len(names) != spec.classes:
        raise InputError(
            f"dataset {name!r} has {len(names)} class_names, but classes={spec.classes}; give a "
            "name for each class"
        )
    numbers = (*spec.mean, *spec.std, spec.pixel_max)
    if not all(map(math.isfinite, numbers)) or min(*spec.std, spec.pixel_max) <= 0:
        raise InputError(
            f"dataset {name!r} has mean={spec.mean}, std={spec.std} and pixel_max={spec.pixel_max}"
            ", but all must be finite, and std and pixel_max above 0; correct its spec"
        )


def _check_fits(named: str, split: Split, spec: DataSpec) -> None:
    """InputError if labels, channels or the scale of pixels are not those of the spec."""
    least, most = int(split.labels.min()), int(split.labels.max())
    if least < 0 or most >= spec.classes:
        raise InputError(
            f"{named} have the label {least if least < 0 else most}, but labels of "
            f"{spec.classes} classes are 0 to {spec.classes - 1}; correct the labels or the spec"
        )
    channels = split.image_shape[0]
    if not channels == len(spec.mean) == len(spec.std):
        raise InputError(
            f"{named} have shape (channels, height, width) {split.image_shape}, but the spec has "
            f"mean for {len(spec.mean)} channels and std for {len(spec.std)}; put channels first, "
            "or correct the spec"
        )
    if not isinstance(split, Images):
        return
    if split.images.is_floating_point() and not split.images.isfinite().all():
        raise InputError(f"{named} have NaN or infinity; replace or remove them")
    largest = float(split.images.max())
    if 0 < largest <= 1 < spec.pixel_max:
        raise InputError(
            f"pixels of {named} are at most {largest:g}, but pixel_max of the spec is "
            f"{spec.pixel_max}; give pixels of that scale, or pixel_max=1"
        )
