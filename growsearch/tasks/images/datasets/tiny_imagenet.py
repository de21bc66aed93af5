"""Tiny-ImageNet."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from growsearch.tasks.images.source import ImageSource
from growsearch.tasks.images.spec import DataSpec
from growsearch.trial.components import register
from growsearch.trial.kinds import Proposals

if TYPE_CHECKING:
    from growsearch.tasks.images.images import Split


@register("dataset", "tiny-imagenet", source="Le and Yang 2015")
@dataclass(frozen=True, kw_only=True)
class TinyImageNet(ImageSource):
    """110,000 colour pictures of 64x64 pixels in 200 classes."""

    spec = DataSpec(
        classes=200, val_per_class=25, rotation=20, flip=True, test_shuffled=True,
        mean=(0.4802, 0.4481, 0.3975), std=(0.2770, 0.2691, 0.2821),
    )  # fmt: skip

    proposals: ClassVar[Proposals] = {"patch": 8}

    def read(self, data_dir: str | None) -> "tuple[Split, Split]":
        from growsearch.tasks.images.tiny_imagenet import read_tiny_imagenet

        return read_tiny_imagenet(data_dir)
