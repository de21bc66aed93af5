"""scikit-learn's digits."""

from dataclasses import dataclass
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
        import torch
        from sklearn.datasets import load_digits

        from growsearch.tasks.images.images import Images

        if data_dir is not None:
            raise InputError(
                f"digits come with scikit-learn: data_dir {data_dir!r} must be left out"
            )
        bunch = load_digits()
        images = torch.tensor(bunch.images, dtype=torch.uint8)[:, None]
        return Images(images, torch.tensor(bunch.target, dtype=torch.int64)), None
