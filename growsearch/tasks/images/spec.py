"""The properties of a data set that its files do not tell."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """Classes, pixel statistics and augmentation of a data set."""

    classes: int
    val_per_class: int
    """Images of each class that split="clean" holds out of training for validation."""
    mean: tuple[float, ...]
    """For each channel, the mean of the training images' pixels, scaled to 0 to 1."""
    std: tuple[float, ...]
    """For each channel, the standard deviation of the same pixels."""
    pixel_max: int = 255
    """The pixel value that is scaled to 1."""
    flip: bool = False
    """Whether training images are mirrored left to right with probability 1/2."""
    crop: int = 0
    """Training images are padded with black by this many pixels on each side, then cropped."""
    rotation: float = 0
    """Training images are turned by up to this many degrees either way; empty corners are black."""
    test_shuffled: bool = False
    """Whether split="paper" shuffles the test images before it halves them. Test images that are
    sorted by class need it, so that both halves have all classes."""
    class_names: tuple[str, ...] | None = field(default=None, repr=False)
    """The names of the classes, by label; None if they are not known. Digests of data sets hash
    what `repr` shows: names change nothing that is trained."""

    @property
    def normalization(self) -> dict[str, Any]:
        """How pixels become the network's input, and what its outputs mean, in JSON's types.

        An input is (pixel / pixel_max - mean) / std, for each channel.
        """
        names = None if self.class_names is None else list(self.class_names)
        return {
            "pixel_max": self.pixel_max, "mean": list(self.mean), "std": list(self.std),
            "class_names": names,
        }  # fmt: skip
