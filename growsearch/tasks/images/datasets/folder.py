"""A folder of the user's own pictures."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from growsearch.tasks.images.own import OwnImages
from growsearch.trial.components import register
from growsearch.trial.kinds import Proposals

if TYPE_CHECKING:
    from growsearch.tasks.images.images import Parts

IMAGE_SIZE = 32


@register("dataset", "folder")
@dataclass(frozen=True, kw_only=True)
class Folder(OwnImages):
    """Your own pictures, a folder of JPEG or PNG files for each class.

    --data-dir has the class folders, of which shares are held out for validation and test; or
    train/, val/ and perhaps test/, which have them. The shorter side of each picture is resized to
    --image-size pixels, 32 by default, and the centre cropped. If all pictures are grey, there is
    one channel, else there are three. Mean and deviation are those of the training images.
    """

    resizes = True
    proposals: ClassVar[Proposals] = {"image_size": IMAGE_SIZE}

    def read_parts(self, data_dir: str | None, image_size: int | None) -> "Parts":
        from growsearch.tasks.images.class_folders import read_class_folders

        return read_class_folders(self, data_dir, image_size or IMAGE_SIZE)

    def state(self, data_dir: str | None) -> str:
        from growsearch.tasks.images.class_folders import listed

        return listed(data_dir).state
