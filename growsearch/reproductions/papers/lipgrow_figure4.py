"""LipGrow's Figure 4: the error for each first growth epoch of a grid, and LipGrow's own choice."""

from collections.abc import Iterable

from growsearch.reproductions.definition import Claim, Options, Reproduction, Rows, Scale
from growsearch.reproductions.drawing import Against
from growsearch.reproductions.settings import (
    LIPGROW_NOTE,
    LIPGROW_SMALL_NOTE,
    LIPSCHITZ,
    LIPSCHITZ_SMALL,
    lipgrow,
    lipgrow_small,
)
from growsearch.reproductions.statistics import Apart, OverBest

SECOND = "The grid's second growth is halfway between the first one and the end."


def rows(options: Options, grows: Options, firsts: Iterable[int]) -> Rows:
    start, epochs = {**options, "architecture": "2-2-2"}, options["epochs"]
    return {
        "LipGrow": {**start, **grows},
        **{
            f"grid {first}": {
                **start, "policy": "fixed", "growth_epochs": [first, (first + epochs) // 2]
            }
            for first in firsts
        },
    }  # fmt: skip


DEFINITION = Reproduction(
    title="The error for each first growth epoch, and LipGrow's own choice",
    place="LipGrow, Figure 4",
    quantities=("first_growth", "val_error"),
    numbers={},
    claims=(
        Claim(
            "LipGrow's choice is nearly as good as the grid's best: at most 1 point worse",
            OverBest("val_accuracy", "LipGrow", "grid *"),
            above=-1,
            not_of=("CIFAR-100",),  # "fails to reach a better timing" there (section 5.4)
        ),
        Claim(
            "LipGrow's choice is stable: a run's first growth is less than a tenth of all epochs "
            "from that of the others",
            Apart("growth_share", "LipGrow"),
            above=-0.1,
        ),
    ),
    drawing=Against("val_error", "first_growth", joined=True),
    small=Scale(
        groups={"digits": rows(lipgrow_small(), LIPSCHITZ_SMALL, range(2, 25, 2))},
        seeds=(0, 1, 2, 3, 4),
        note=f"{LIPGROW_SMALL_NOTE}, rtol 1.05 for 1.4, window 2 for 10. {SECOND}",
    ),
    paper=Scale(
        groups={
            "CIFAR-10": rows(lipgrow("cifar10"), LIPSCHITZ, range(20, 121, 10)),
            "CIFAR-100": rows(lipgrow("cifar100"), LIPSCHITZ, range(20, 121, 10)),
        },
        seeds=(0, 1, 2, 3, 4),
        note=f"{LIPGROW_NOTE} The paper does not give its grid. {SECOND}",
    ),
)
