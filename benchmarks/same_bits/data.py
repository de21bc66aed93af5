"""Small data sets for the trials: made from scikit-learn's digits, the same bytes every time."""

import struct
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

TRAIN, TEST = 120, 40
IDX = "data/idx"
"""Files in MNIST's format, with 8x8 pixels and few test images: evaluation takes little time."""
PICTURES = "data/pictures"
"""A folder laid out like ImageNet's, with two classes."""
TEXT = "data/text.txt"
CLASSES, TRAIN_PICTURES, VAL_PICTURES = 2, 6, 4


def write_data(folder: Path) -> None:
    """Write IDX, PICTURES and TEXT below `folder`."""
    digits = load_digits()
    images, labels = (digits.images * 15).astype(np.uint8), digits.target.astype(np.uint8)
    _write_idx(folder / IDX, "train", images[:TRAIN], labels[:TRAIN])
    _write_idx(folder / IDX, "t10k", images[TRAIN : TRAIN + TEST], labels[TRAIN : TRAIN + TEST])
    for label in range(CLASSES):
        chosen = images[labels == label]
        _write_pictures(folder / PICTURES / "train" / f"class{label}", chosen[:TRAIN_PICTURES])
        _write_pictures(folder / PICTURES / "val" / f"class{label}", chosen[-VAL_PICTURES:])
    rows = images.reshape(len(images), -1)[:100]
    (folder / TEXT).write_text("\n".join(bytes(97 + row // 16).decode() for row in rows))


def _write_idx(folder: Path, part: str, images: np.ndarray, labels: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
        header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
        (folder / f"{part}-{kind}-ubyte").write_bytes(header + array.tobytes())


def _write_pictures(folder: Path, images: np.ndarray) -> None:
    folder.mkdir(parents=True)
    for i, image in enumerate(images):
        size = (40 + 8 * i, 56)  # pictures of several shapes are cut in several ways
        Image.fromarray(image).resize(size).convert("RGB").save(folder / f"{i}.png")
