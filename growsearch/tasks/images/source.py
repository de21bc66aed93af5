"""What the data sets of images share."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from growsearch.tasks.images.spec import DataSpec
from growsearch.trial.kinds import DataSource

if TYPE_CHECKING:
    from growsearch.tasks.images.images import Split


@dataclass(frozen=True, kw_only=True)
class ImageSource(DataSource):
    """Labelled images."""

    spec: ClassVar[DataSpec]
    """What is known of the images before their files are read."""
    class_names: ClassVar[tuple[str, ...]] = ()
    """What the classes are called, in the order of their labels; empty if that is not known."""

    @abstractmethod
    def read(self, data_dir: str | None) -> "tuple[Split, Split | None]": ...

    def spec_of(self, train: "Split") -> DataSpec:
        """What is known of the images once those to train on are read."""
        return self.spec
