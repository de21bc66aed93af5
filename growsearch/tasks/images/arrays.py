"""Arrays of a user's own images: from a .npz file, or from Python."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from growsearch.machine.bounds import check_archive
from growsearch.tasks.images.images import Images, Parts
from growsearch.tasks.images.own_parts import own_parts
from growsearch.tasks.images.read import check_alike
from growsearch.trial.errors import InputError, one_line
from growsearch.trial.options import shortened

if TYPE_CHECKING:
    from growsearch.tasks.images.own import OwnImages

MEMORY = "memory:"
"""What data_dir begins with for arrays that were given in Python; a hash of them follows."""
WANTED = "an .npz file with X, y, and perhaps X_val, y_val, X_test, y_test and class_names"
NAMES = ("X", "y", "X_val", "y_val", "X_test", "y_test", "class_names")
_SHAPES = "(N, H, W), (N, H, W, C) or (N, C, H, W) with 1 to 4 channels"
_CHANNELS = range(1, 5)


def read_npz(source: "OwnImages", data_dir: str | None) -> Parts:
    """The images of a .npz file, divided. InputError if the file or an array is not right."""
    path = _file(data_dir)
    try:
        with path.open("rb") as file:
            check_archive(file)
            content = np.load(file, allow_pickle=False)
            if not isinstance(content, np.lib.npyio.NpzFile):
                raise ValueError("it has one array alone")
            arrays = {name: _array(content, name, path) for name in content.files}
    except InputError:
        raise
    except Exception as error:  # numpy and zipfile raise many types
        raise InputError(
            f"{path} cannot be read as an .npz file ({one_line(error)}); make it with "
            "numpy.savez(file, X=X, y=y)"
        ) from error
    for name in arrays:
        if name not in NAMES:
            raise InputError(f"{path} has an array {name!r}; give {WANTED}")
    for name in ("X", "y"):
        if name not in arrays:
            raise InputError(f"{path} has no array {name!r}; give {WANTED}")
    pairs: dict[str, tuple[Any, Any] | None] = {}
    for part in ("val", "test"):
        there = [name for name in (f"X_{part}", f"y_{part}") if name in arrays]
        if len(there) == 1:
            raise InputError(f"{path} has {there[0]} alone; give both X_{part} and y_{part}")
        pairs[part] = (arrays[there[0]], arrays[there[1]]) if there else None
    return parts_of(
        source, arrays["X"], arrays["y"], pairs["val"], pairs["test"], arrays.get("class_names")
    )


def _array(content: Mapping[str, np.ndarray], name: str, path: Path) -> np.ndarray:
    try:
        return content[name]
    except ValueError as error:
        if "pickle" not in str(error):
            raise
        raise InputError(
            f"array {name!r} of {path} has Python objects, which are not loaded; save it as "
            "numbers or text, for instance y.astype(str)"
        ) from error


def _file(data_dir: str | None) -> Path:
    if data_dir is None:
        raise InputError(f"arrays has no download; give as data_dir {WANTED}")
    if data_dir.startswith(MEMORY):
        raise InputError(
            f"data_dir {data_dir!r} is arrays that were given in Python, and they are on no disk; "
            "give them again, as dataset=Dataset.from_arrays(X, y)"
        )
    path = Path(data_dir).expanduser()
    if not path.is_file():
        raise InputError(f"data_dir {data_dir!r} is not a file; give {WANTED}")
    return path


def npz_state(data_dir: str | None) -> str:
    """A hash of path, size and time of change of the file."""
    path = _file(data_dir)
    status = os.stat(path)
    known = f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"
    return hashlib.sha256(known.encode()).hexdigest()


def parts_of(
    source: "OwnImages", X: Any, y: Any, val: tuple[Any, Any] | None = None,
    test: tuple[Any, Any] | None = None, class_names: Any = None,
) -> Parts:  # fmt: skip
    """The images `X` of classes `y`, divided; `val` and `test` are pairs like (X, y), or None.

    Raises InputError if an array is not right; see `_pixels` and `_Classes`.
    """
    classes = _Classes(_as_labels("y", y), class_names)
    train = _images("", _as_array("X", X), classes, classes.y)
    others: list[Images | None] = []
    for part, pair in (("_val", val), ("_test", test)):
        if pair is None:
            others.append(None)
            continue
        images = _images(part, _as_array(f"X{part}", pair[0]), classes,
                         _as_labels(f"y{part}", pair[1]))  # fmt: skip
        check_alike(("those of X", train), (f"images of X{part}", images))
        others.append(images)
    return own_parts(source, classes.names, train, *others)


def _as_array(name: str, values: Any) -> np.ndarray:
    try:
        return np.asarray(values)
    except Exception as error:  # of ragged lists, and of tensors on a GPU
        raise InputError(
            f"{name} is no array ({one_line(error)}); convert it to a numpy array"
        ) from error


def _as_labels(name: str, values: Any) -> np.ndarray:
    """Text that pandas keeps as objects becomes text of numpy."""
    y = _as_array(name, values)
    is_text = y.dtype.kind == "T" or (y.dtype == object and all(isinstance(v, str) for v in y.flat))
    return y.astype(str) if is_text else y


def _images(part: str, x: np.ndarray, classes: "_Classes", y: np.ndarray) -> Images:
    pixels, labels = _pixels(f"X{part}", x), classes.labels(f"y{part}", y)
    if len(pixels) != len(labels):
        raise InputError(
            f"X{part} has {len(pixels)} images, but y{part} has {len(labels)} labels; give a label "
            "for each image"
        )
    return Images(pixels, labels)


def _pixels(name: str, x: np.ndarray) -> Tensor:
    """A copy, uint8 or float32 [n, channels, height, width]. Channels are last if they may be.

    Raises InputError for another type or shape, and for numbers that are not finite.
    """
    if x.dtype != np.uint8 and not np.issubdtype(x.dtype, np.floating):
        raise InputError(
            f"{name} has dtype {x.dtype}, but must be uint8 or float32; convert it, for instance "
            f"{name}.astype('float32')"
        )
    shape = x.shape
    if x.ndim == 3:
        x = x[:, None]
    first, last = (x.ndim == 4 and x.shape[axis] in _CHANNELS for axis in (1, -1))
    if not x.size or not (first or last):
        raise InputError(f"{name} has shape {shape}, but must be {_SHAPES}; reshape it")
    if first and last and len(shape) == 4:
        raise InputError(
            f"{name} has shape {shape}, which does not tell whether channels are first or last; "
            "pad the images to more than 4 pixels a side"
        )
    if not first:
        x = np.moveaxis(x, 3, 1)
    if x.dtype == np.uint8:
        return torch.from_numpy(np.array(x, order="C"))
    with np.errstate(over="ignore"):  # what is too large becomes infinite
        pixels = np.array(x, dtype=np.float32, order="C")
    bad = np.flatnonzero(~np.isfinite(pixels).all(axis=(1, 2, 3)))
    if len(bad):
        raise InputError(
            f"{name} has NaN or infinity (as float32) in {len(bad)} of {len(x)} images, the first "
            f"at index {bad[0]}; replace or remove them"
        )
    return torch.from_numpy(pixels)


class _Classes:
    """The classes that there are, by the labels `y` of the training images.

    Classes are the sorted labels, called by their text. With `class_names`, labels are numbers from
    0 in the order of the names, or the names themselves. InputError if there are fewer than two.
    """

    def __init__(self, y: np.ndarray, class_names: Any) -> None:
        self.y = y
        _check_labels("y", y)
        self.known = np.unique(y)
        self.names = tuple(str(label) for label in self.known)
        if class_names is not None:
            self._name(class_names)
        if len(self.known) < 2:
            raise InputError(
                f"y has one class only, {self.names[0]!r}; give images of at least 2 classes"
            )

    def _name(self, class_names: Any) -> None:
        names = tuple(str(name) for name in _as_array("class_names", class_names).ravel())
        if len(set(names)) < len(names):
            raise InputError(f"class_names has a name twice: {shortened(names)}; give each once")
        numbered = self.known.dtype.kind != "U"
        labels = np.arange(len(names)) if numbered else np.array(names)
        rule = f"0 to {len(names) - 1}" if numbered else "class_names"
        for label in np.setdiff1d(self.known, labels).tolist():
            raise InputError(
                f"y has the label {label!r}, but there are {len(names)} class_names, so that "
                f"labels must be among {rule}; give a name for each class"
            )
        for label in np.setdiff1d(labels, self.known).tolist():
            raise InputError(
                f"class_names has {names[label] if numbered else label!r}, but y has no image of "
                "it; leave the name out, or add images"
            )
        self.known, self.names = labels, names

    def labels(self, name: str, y: np.ndarray) -> Tensor:
        """The numbers of the classes, int64. InputError for a label that is no class of `y`."""
        _check_labels(name, y)
        numbers = {label: n for n, label in enumerate(self.known.tolist())}
        found, inverse = np.unique(y, return_inverse=True)
        for label in found.tolist():
            if label not in numbers:
                raise InputError(
                    f"{name} has the label {label!r}, but y has no image of that class; remove it, "
                    "or add images to train on"
                )
        return torch.tensor([numbers[label] for label in found.tolist()])[inverse.ravel()]


def _check_labels(name: str, y: np.ndarray) -> None:
    if y.ndim != 1 or not len(y):
        raise InputError(
            f"{name} has shape {y.shape}, but must be (N,), a class for each image; flatten it, or "
            f"take {name}.argmax(1) if it is one-hot"
        )
    if y.dtype.kind not in "biuU":
        raise InputError(
            f"{name} has dtype {y.dtype}, but classes must be integers or text; convert it, for "
            f"instance {name}.astype(int)"
        )
