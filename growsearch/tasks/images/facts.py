"""What a network for images needs to know of its data set, without the images."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import prod
from typing import Any, Self

from growsearch.machine.bounds import LITTLE
from growsearch.tasks.images.dataset import Dataset
from growsearch.tasks.images.source import ImageSource


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """The shape of a network's input and output, and how images are normalized for it."""

    image_shape: tuple[int, int, int]
    """(channels, height, width)."""
    classes: int
    mean: tuple[float, ...]
    """For each channel, subtracted from pixels that are scaled to 0 to 1."""
    std: tuple[float, ...]
    """For each channel, what the difference is divided by."""
    class_names: tuple[str, ...] | None = None
    """By label; None if they are not known."""
    shorter: int | None = None
    """The shorter side in pixels that pictures were resized to before their centre was cropped;
    None if they were not."""

    @classmethod
    def of(cls, dataset: Dataset, source: ImageSource) -> Self:
        """The facts of the data set that a trial trains on; its images come from `source`."""
        spec = dataset.spec
        return cls(
            image_shape=dataset.image_shape, classes=spec.classes, mean=spec.mean, std=spec.std,
            class_names=spec.class_names,
            shorter=source.shorter_side(dataset.image_shape[1]),
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`, also where tuples have become lists.

        Raises KeyError, TypeError, ValueError, OverflowError.
        """
        channels, height, width = values["image_shape"]
        mean, std = (tuple(map(float, values[name])) for name in ("mean", "std"))
        if not len(mean) == len(std) == int(channels):
            raise ValueError(f"{channels} channels have {len(mean)} means and {len(std)} std")
        shape = (int(channels), int(height), int(width))
        if 4 * prod(shape) > LITTLE:  # convolutions have no weights that say so
            raise ValueError(f"an image of {shape[1]} x {shape[2]} pixels is too large")
        return cls(
            image_shape=shape,
            classes=int(values["classes"]),
            mean=mean,
            std=std,
            class_names=tuple(names) if (names := values.get("class_names")) else None,
            shorter=int(side) if (side := values.get("shorter")) else None,
        )
