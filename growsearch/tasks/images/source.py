"""What the data sets of images share."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from growsearch.tasks.images.spec import DataSpec
from growsearch.trial.kinds import DataSource

if TYPE_CHECKING:
    from growsearch.tasks.images.images import Parts, Split


@dataclass(frozen=True, kw_only=True)
class ImageSource(DataSource):
    """Labelled images."""

    spec: ClassVar[DataSpec | None] = None
    """What is known of the images before their files are read. A source with `parts` of its own
    needs none."""
    resizes: ClassVar[bool] = False
    """Whether `parts` gives images of the height and width image_size. Others are padded to it."""

    @abstractmethod
    def read(self, data_dir: str | None) -> "tuple[Split, Split | None]": ...

    def shorter_side(self, image_size: int) -> int | None:
        """The shorter side that pictures are resized to before their centre of `image_size` is
        cropped, in pixels; None where they are not resized.
        """
        return image_size if self.resizes else None

    def spec_of(self, train: "Split") -> DataSpec:
        """What is known of the images once those to train on are read."""
        assert self.spec is not None
        return self.spec

    @classmethod
    def flaw(cls) -> str | None:
        divides = cls.parts is not ImageSource.parts or cls.spec_of is not ImageSource.spec_of
        return None if cls.spec is not None or divides else "must state spec"

    def parts(self, data_dir: str | None, split: str, image_size: int | None) -> "Parts | None":
        """The images of a source that divides them itself; None: `split` divides what `read` gives.

        Raises InputError if files are missing or damaged, or the images cannot be divided.
        """
        return None

    def state(self, data_dir: str | None) -> str:
        """A text that changes when the files change. Files are read again when it has changed."""
        return ""
