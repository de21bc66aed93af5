"""ImageNet, or any folder of pictures that is laid out like it."""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from growsearch.tasks.images.source import ImageSource
from growsearch.tasks.images.spec import DataSpec
from growsearch.trial.components import register
from growsearch.trial.kinds import Baseline, Proposals

if TYPE_CHECKING:
    from growsearch.tasks.images.images import Split


@register("dataset", "imagenet", source="Russakovsky et al. 2015")
@dataclass(frozen=True, kw_only=True)
class ImageNet(ImageSource):
    """A folder with a folder of pictures for each class, streamed from files."""

    spec = DataSpec(
        classes=1000, val_per_class=50, flip=True, test_shuffled=True,
        mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225),
    )  # fmt: skip
    proposals: ClassVar[Proposals] = {"batch_size": 256, "patch": 16}
    baseline = Baseline(
        epochs=90, stairs=(Fraction(1, 3), Fraction(2, 3)), weight_decay=1e-4, interval=2
    )

    def read(self, data_dir: str | None) -> "tuple[Split, Split]":
        from growsearch.tasks.images.imagenet import read_imagenet

        return read_imagenet(data_dir)

    def shorter_side(self, image_size: int) -> int:
        from growsearch.tasks.images.streamed import SHORTER

        return SHORTER

    def spec_of(self, train: "Split") -> DataSpec:
        """With as many classes as there are: a part of ImageNet's classes is a data set, too."""
        return replace(self.spec, classes=int(train.labels.max()) + 1)
