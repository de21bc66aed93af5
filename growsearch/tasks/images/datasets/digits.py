"""scikit-learn's digits."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from growsearch.tasks.images.source import ImageSource
from growsearch.tasks.images.spec import DataSpec
from growsearch.trial.components import register
from growsearch.trial.errors import InputError

if TYPE_CHECKING:
    from growsearch.tasks.images.images import Images


@register("dataset", "digits", source="scikit-learn")
@dataclass(frozen=True, kw_only=True)
class Digits(ImageSource):
    """1,797 grey digits of 8x8 pixels from 0 to 16, which come with scikit-learn.

    They have no test set: one is taken out of them.
    """

    spec = DataSpec(
        classes=10, val_per_class=30, pixel_max=16, mean=(0.3049,), std=(0.3758,), crop=1,
        class_names=tuple("0123456789"),
    )  # fmt: skip

    def read(self, data_dir: str | None) -> "tuple[Images, None]":
        import numpy as np
        import torch

        from growsearch.tasks.images.images import Images

        if data_dir is not None:
            raise InputError(
                f"digits come with scikit-learn: data_dir {data_dir!r} must be left out"
            )
        rows = torch.from_numpy(np.loadtxt(_file(), delimiter=",", dtype=np.uint8))
        images = rows[:, :-1].reshape(-1, 1, 8, 8).contiguous()
        return Images(images, rows[:, -1].long()), None


def _file() -> Path:
    """scikit-learn's file, found without its import, which takes seconds."""
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise InputError(
            "digits come with scikit-learn, which is missing; pip install scikit-learn"
        )
    return Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
