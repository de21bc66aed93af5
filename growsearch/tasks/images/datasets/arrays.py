"""Arrays of the user's own images."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from growsearch.tasks.images.own import OwnImages
from growsearch.trial.components import register

if TYPE_CHECKING:
    from growsearch.tasks.images.images import Parts


@register("dataset", "arrays")
@dataclass(frozen=True, kw_only=True)
class Arrays(OwnImages):
    """Your own images, in a .npz file of arrays X and y.

    --data-dir is the file. X has the images, uint8 or float32, as (N, H, W), (N, H, W, C) or (N, C,
    H, W), and y their classes, integers or text. X_val and y_val, X_test and y_test may be there,
    or else shares are held out for validation and test; and class_names. Mean and deviation are
    those of the training images. In Python, Dataset.from_arrays takes the same.
    """

    def read_parts(self, data_dir: str | None, image_size: int | None) -> "Parts":
        from growsearch.tasks.images.arrays import read_npz

        return read_npz(self, data_dir)

    def state(self, data_dir: str | None) -> str:
        from growsearch.tasks.images.arrays import npz_state

        return npz_state(data_dir)
