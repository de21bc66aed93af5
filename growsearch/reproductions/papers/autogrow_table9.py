"""AutoGrow's Table 9: the depth found on parts of the training images."""

from collections.abc import Callable
from functools import partial

from growsearch.reproductions.definition import Claim, Options, Reproduction, Rows, Scale
from growsearch.reproductions.drawing import Points
from growsearch.reproductions.settings import (
    AUTOGROW_NOTE,
    BASIC4,
    DIGITS_NOTE,
    SMALL_END,
    autogrow,
    autogrow_small,
    networks_found,
)
from growsearch.reproductions.statistics import Difference

PARTS: dict[str, Options] = {
    "100 %": {}, "75 %": {"train_fraction": 0.75}, "50 %": {"train_fraction": 0.5},
    "25 %": {"train_fraction": 0.25},
}  # fmt: skip


def rows(setting: Callable[..., Options]) -> Rows:
    return {row: setting(**part) for row, part in PARTS.items()}


_numbers = partial(networks_found, PARTS)


DEFINITION = Reproduction(
    title="The depth found on parts of the data",
    place="AutoGrow, Table 9",
    quantities=("network", "blocks", "val_accuracy"),
    numbers={
        "Basic3ResNet, CIFAR-10": _numbers(
            ("42-42-42", 94.27), ("32-31-31", 93.54), ("17-17-17", 91.34), ("21-12-7", 88.18)
        ),
        "Basic4ResNet, CIFAR-100": _numbers(
            ("17-51-16-16", 79.47), ("17-17-16-16", 77.26), ("12-12-12-11", 72.91),
            ("6-6-6-6", 62.53),
        ),
        "Plain3Net, MNIST": _numbers(
            ("20-20-20", 99.66), ("12-12-12", 99.54), ("12-11-11", 99.46), ("10-9-9", 99.33)
        ),
        "Plain4Net, SVHN": _numbers(
            ("12-12-12-11", 97.08), ("9-9-9-9", 96.71), ("8-8-8-8", 96.37), ("5-5-5-5", 95.68)
        ),
    },
    claims=(
        Claim(
            "a quarter of the images leads to a shallower network than all of them",
            Difference("blocks", "100 %", "25 %"),
        ),
        Claim(
            "a quarter of the images leads to a less accurate network than all of them",
            Difference("val_accuracy", "100 %", "25 %"),
        ),
    ),
    drawing=Points("blocks"),
    small=Scale(
        groups={"Basic3ResNet, digits": rows(partial(autogrow_small, interval=2))},
        seeds=(0, 1, 2, 3),
        note=f"{DIGITS_NOTE}; K = 2 for 3 (divided by the share, as in the paper), J = 20 for "
        f"100, {SMALL_END}",
    ),
    paper=Scale(
        groups={
            "Basic3ResNet, CIFAR-10": rows(partial(autogrow, "cifar10", interval=3)),
            "Basic4ResNet, CIFAR-100": rows(partial(autogrow, "cifar100", BASIC4, interval=3)),
            "Plain3Net, MNIST": rows(partial(autogrow, "mnist", "plain3net", interval=3, lr=0.01)),
            "Plain4Net, SVHN": rows(partial(autogrow, "svhn", "plain4net", interval=3, lr=0.01)),
        },
        seeds=(0, 1, 2),
        note=f"{AUTOGROW_NOTE} K = 3, divided by the share; plain networks have learning rate "
        "0.01. The rows of all images are those of its Table 8.",
    ),
)  # fmt: skip
