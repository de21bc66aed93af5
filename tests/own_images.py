"""Small folders of made-up pictures, one for each class."""

from pathlib import Path

import numpy as np
from PIL import Image


def picture(label: int, number: int, mode: str = "RGB") -> Image.Image:
    """Noise of another size for each number, with a mean by its label."""
    draw = np.random.default_rng([label, number])
    height, width = 20 + number % 5, 24 - number % 7
    pixels = draw.integers(60 * label, 60 * label + 120, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def write_pictures(
    folder: Path, each: int = 10, classes: tuple[str, ...] = ("ant", "bee"), mode: str = "RGB",
    first: int = 0,
) -> Path:  # fmt: skip
    """`each` pictures of each class, in PNG and JPEG files with numbers from `first`."""
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(first, first + each):
            suffix = ("png", "JPEG", "jpg", "PNG")[number % 4]
            picture(label, number, mode).save(folder / name / f"{number:02}.{suffix}")
    return folder
