"""CIFAR-10 and CIFAR-100."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from growsearch.tasks.images.source import ImageSource
from growsearch.tasks.images.spec import DataSpec
from growsearch.trial.components import register

if TYPE_CHECKING:
    from growsearch.tasks.images.images import Split


@register("dataset", "cifar10", source="Krizhevsky 2009")
@dataclass(frozen=True, kw_only=True)
class CIFAR10(ImageSource):
    """60,000 colour pictures of 32x32 pixels in 10 classes."""

    spec = DataSpec(
        classes=10, val_per_class=500, crop=4, flip=True,
        mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010),
        class_names=(
            "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship",
            "truck",
        ),
    )  # fmt: skip
    """The deviations, LipGrow's too, are the mean of each image's own, which is less than that of
    all pixels."""

    def read(self, data_dir: str | None) -> "tuple[Split, Split]":
        from growsearch.tasks.images.torchvision_files import read_cifar

        return read_cifar(self.name, data_dir)


@register("dataset", "cifar100", source="Krizhevsky 2009")
@dataclass(frozen=True, kw_only=True)
class CIFAR100(ImageSource):
    """60,000 colour pictures of 32x32 pixels in 100 classes."""

    spec = DataSpec(
        classes=100, val_per_class=50, crop=4, flip=True,
        mean=(0.5071, 0.4865, 0.4409), std=(0.2673, 0.2564, 0.2762),
        class_names=(
            "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle",
            "bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle",
            "caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch",
            "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest",
            "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower",
            "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
            "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear",
            "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit",
            "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk",
            "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower",
            "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor", "train",
            "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
        ),
    )  # fmt: skip

    def read(self, data_dir: str | None) -> "tuple[Split, Split]":
        from growsearch.tasks.images.torchvision_files import read_cifar

        return read_cifar(self.name, data_dir)
