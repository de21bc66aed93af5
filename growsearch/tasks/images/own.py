"""What a user's own images have in common: how they are divided and varied."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from growsearch.tasks.images.source import ImageSource
from growsearch.trial.errors import InputError
from growsearch.trial.options import option

if TYPE_CHECKING:
    from growsearch.tasks.images.images import Parts, Split


@dataclass(frozen=True, kw_only=True)
class OwnImages(ImageSource):
    """Images whose classes, mean and deviation are found when they are read.

    Validation and test images that are not given apart are a share of each class, the same ones for
    every trial, whatever its seed.
    """

    own = True

    val_fraction: float | None = option(
        None, "share of each class's images that validates, if there are no validation images",
        above=0, most=0.9, default_help="0.1", keyed_at_default=False,
    )  # fmt: skip
    test_fraction: float | None = option(
        None, "share of each class's images that is held out as test, if there are no test images",
        above=0, most=0.9, default_help="0.1", keyed_at_default=False,
    )  # fmt: skip
    augmentation: str | None = option(
        None, "how training images are varied: flip mirrors half of them, crop shifts them by up "
        "to an eighth of their side", choices=("none", "flip", "crop", "flip-crop"),
        default_help="none", keyed_at_default=False,
    )  # fmt: skip

    def parts(self, data_dir: str | None, split: str, image_size: int | None) -> "Parts":
        if split != "clean":
            raise InputError(
                f"split {split!r} divides published data sets, but dataset {self.name!r} has your "
                "own images; leave split out"
            )
        return self.read_parts(data_dir, image_size)

    def read(self, data_dir: str | None) -> "tuple[Split, Split]":
        parts = self.read_parts(data_dir, None)
        return parts.train, parts.test

    @abstractmethod
    def read_parts(self, data_dir: str | None, image_size: int | None) -> "Parts":
        """The images, divided; see `ImageSource.parts`."""
