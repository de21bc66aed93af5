"""AutoGrow's Table 6: p-AutoGrow from the shallowest and from a deeper seed network."""

from growsearch.reproductions.definition import Cells, Claim, Options, Reproduction, Rows, Scale
from growsearch.reproductions.drawing import Points
from growsearch.reproductions.settings import (
    AUTOGROW_NOTE,
    BASIC4,
    DIGITS_NOTE,
    SMALL_END,
    autogrow,
    autogrow_small,
)
from growsearch.reproductions.statistics import Difference

SHALLOW, DEEP = "shallowest seed", "deeper seed"


def rows(options: Options, shallow: str, deep: str) -> Rows:
    return {
        SHALLOW: {**options, "architecture": shallow},
        DEEP: {**options, "architecture": deep},
    }


def _of(network: str, accuracy: float) -> Cells:
    return {"network": network, "val_accuracy": accuracy}


DEFINITION = Reproduction(
    title="p-AutoGrow by the seed network",
    place="AutoGrow, Table 6",
    quantities=("network", "val_accuracy"),
    numbers={
        "Basic3ResNet": {SHALLOW: _of("42-42-42", 94.27), DEEP: _of("46-46-46", 94.16)},
        "Basic4ResNet": {SHALLOW: _of("22-22-22-22", 95.49), DEEP: _of("23-22-22-22", 95.62)},
    },
    claims=(
        Claim(
            "the shallowest seed works as well as a deeper one: at most 0.5 points less accurate",
            Difference("val_accuracy", SHALLOW, DEEP),
            above=-0.5,
        ),
    ),
    drawing=Points("val_accuracy"),
    small=Scale(
        groups={"Basic3ResNet, digits": rows(autogrow_small(interval=2), "1-1-1", "3-3-3")},
        seeds=(0, 1, 2, 3),
        note=f"{DIGITS_NOTE}; seeds 1-1-1 and 3-3-3 for 5-5-5, K = 2 for 3, J = 20 for 100, "
        f"{SMALL_END}",
    ),
    paper=Scale(
        groups={
            "Basic3ResNet": rows(autogrow("cifar10", interval=3), "1-1-1", "5-5-5"),
            "Basic4ResNet": rows(autogrow("cifar10", BASIC4, interval=3), "1-1-1-1", "5-5-5-5"),
        },
        seeds=(0, 1, 2),
        note=f"{AUTOGROW_NOTE} K = 3; the data are CIFAR-10.",
    ),
)
