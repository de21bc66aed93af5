"""What makes one data set differ from another."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """What is known of a data set before its files are read."""

    classes: int
    val_per_class: int
    """Images of each class that the split "clean" takes out of training for validation."""
    mean: tuple[float, ...]
    """Of the training images' pixels between 0 and 1, one a channel; `std` likewise."""
    std: tuple[float, ...]
    pixel_max: int = 255
    flip: bool = False
    """Whether training images are mirrored left to right half of the time."""
    crop: int = 0
    """Training images are shifted by up to so many pixels, black coming in (pad and crop)."""
    rotation: float = 0
    """Training images are turned by up to so many degrees either way, black coming in."""
    test_shuffled: bool = False
    """Whether the split "paper" shuffles the test images before it halves them, so that halves of
    images that are kept by class have all classes."""
