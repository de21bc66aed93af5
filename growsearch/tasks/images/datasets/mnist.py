"""MNIST, and Fashion-MNIST in its format."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from growsearch.tasks.images.source import ImageSource
from growsearch.tasks.images.spec import DataSpec
from growsearch.trial.components import register
from growsearch.trial.kinds import Baseline

if TYPE_CHECKING:
    from growsearch.tasks.images.images import Split


@register("dataset", "mnist", source="LeCun et al. 1998")
@dataclass(frozen=True, kw_only=True)
class MNIST(ImageSource):
    """70,000 grey digits of 28x28 pixels."""

    spec = DataSpec(
        classes=10, val_per_class=500, mean=(0.1307,), std=(0.3081,),
        class_names=tuple("0123456789"),
    )  # fmt: skip
    baseline = Baseline(image_size=32)

    def read(self, data_dir: str | None) -> "tuple[Split, Split]":
        from growsearch.tasks.images.mnist import read_idx_set

        return read_idx_set(self.name, data_dir)


@register("dataset", "fashion-mnist", source="Xiao et al. 2017")
@dataclass(frozen=True, kw_only=True)
class FashionMNIST(ImageSource):
    """70,000 grey pictures of clothes, 28x28 pixels."""

    spec = DataSpec(
        classes=10, val_per_class=500, mean=(0.2860,), std=(0.3530,), flip=True,
        class_names=(
            "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
            "Bag", "Ankle boot",
        ),
    )  # fmt: skip
    baseline = Baseline(image_size=32)

    def read(self, data_dir: str | None) -> "tuple[Split, Split]":
        from growsearch.tasks.images.mnist import read_idx_set

        return read_idx_set(self.name, data_dir)
