"""AutoGrow's Table 5: p-AutoGrow by initializer."""

from functools import partial

from growsearch.reproductions.definition import Claim, Options, Reproduction, Rows, Scale
from growsearch.reproductions.drawing import Points
from growsearch.reproductions.papers.autogrow_table3 import INITIALIZERS
from growsearch.reproductions.settings import (
    AUTOGROW_NOTE,
    DIGITS_NOTE,
    SMALL_END,
    autogrow,
    autogrow_small,
    networks_found,
)
from growsearch.reproductions.statistics import Difference


def rows(options: Options) -> Rows:
    return {
        row: {**options, "initializer": initializer} for row, initializer in INITIALIZERS.items()
    }


_numbers = partial(networks_found, INITIALIZERS)


DEFINITION = Reproduction(
    title="p-AutoGrow by initializer",
    place="AutoGrow, Table 5",
    quantities=("network", "val_accuracy"),
    numbers={
        "CIFAR-10": _numbers(
            ("31-30-30", 93.57), ("37-37-36", 93.79), ("28-28-28", 93.82), ("42-42-42", 94.27)
        ),
        "CIFAR-100": _numbers(
            ("26-25-25", 73.45), ("27-27-27", 73.92), ("41-41-41", 74.31), ("54-53-53", 74.72)
        ),
    },
    claims=tuple(
        Claim(
            f"GauInit ends more accurate than {other}",
            Difference("val_accuracy", "GauInit", other),
        )
        for other in INITIALIZERS
        if other != "GauInit"
    ),
    drawing=Points("val_accuracy"),
    small=Scale(
        groups={"digits": rows(autogrow_small(interval=2))},
        seeds=(0, 1, 2),
        note=f"{DIGITS_NOTE}; K = 2 for 3, J = 20 for 100, {SMALL_END}",
    ),
    paper=Scale(
        groups={
            "CIFAR-10": rows(autogrow("cifar10", interval=3)),
            "CIFAR-100": rows(autogrow("cifar100", interval=3)),
        },
        seeds=(0, 1, 2),
        note=f"{AUTOGROW_NOTE} K = 3.",
    ),
)
