"""The rule of patches: what images a vision transformer can divide."""

from math import gcd

from growsearch.trial.errors import InputError


def check_patch(patch: int, image_shape: tuple[int, int, int]) -> None:
    """InputError unless the patches divide images of (channels, height, width)."""
    _, height, width = image_shape
    both = gcd(height, width)
    if both % patch:
        fitting = ", ".join(str(n) for n in range(1, both + 1) if both % n == 0)
        raise InputError(
            f"patch={patch} does not divide images of {height}x{width} pixels; choose patch from "
            f"{fitting}, or a multiple of {patch} for image_size"
        )
