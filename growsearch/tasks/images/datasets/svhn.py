"""Street View House Numbers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from growsearch.tasks.images.source import ImageSource
from growsearch.tasks.images.spec import DataSpec
from growsearch.trial.components import register

if TYPE_CHECKING:
    from growsearch.tasks.images.images import Split


@register("dataset", "svhn", source="Netzer et al. 2011")
@dataclass(frozen=True, kw_only=True)
class SVHN(ImageSource):
    """99,289 colour house numbers of 32x32 pixels, without the extra ones."""

    spec = DataSpec(
        classes=10, val_per_class=500, crop=4,
        mean=(0.4377, 0.4438, 0.4728), std=(0.1980, 0.2010, 0.1970),
        class_names=tuple("0123456789"),
    )  # fmt: skip

    def read(self, data_dir: str | None) -> "tuple[Split, Split]":
        from growsearch.tasks.images.torchvision_files import read_svhn

        return read_svhn(self.name, data_dir)
