"""The properties of a data set that its files do not tell."""

from dataclasses import dataclass


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
