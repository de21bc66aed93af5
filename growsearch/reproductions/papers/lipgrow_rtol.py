"""LipGrow's sensitivity to rtol (section 5.2, and its appendix)."""

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
from growsearch.reproductions.statistics import WorstToBest


def rows(options: Options, grows: Options, tolerances: Iterable[float]) -> Rows:
    return {
        f"rtol {rtol}": {**options, **grows, "architecture": "2-2-2", "rtol": rtol}
        for rtol in tolerances
    }


DEFINITION = Reproduction(
    title="Sensitivity to rtol",
    place="LipGrow, section 5.2",
    quantities=("val_accuracy", "ppe", "first_growth"),
    numbers={},
    claims=(
        Claim(
            "rtol matters little: the worst of these is at most 1 point behind the best",
            WorstToBest("val_accuracy", "rtol *"),
            above=-1,
        ),
    ),
    drawing=Against("val_accuracy", "rtol"),
    small=Scale(
        groups={"digits": rows(lipgrow_small(), LIPSCHITZ_SMALL, (1.0, 1.02, 1.05, 1.1, 1.2, 1.4))},
        seeds=(0, 1, 2, 3, 4),
        note=f"{LIPGROW_SMALL_NOTE}, window 2 for 10.",
    ),
    paper=Scale(
        groups={
            name: rows(lipgrow(dataset), LIPSCHITZ, (1.1, 1.2, 1.3, 1.4, 1.5, 1.6))
            for name, dataset in (("CIFAR-10", "cifar10"), ("CIFAR-100", "cifar100"))
        },
        seeds=(0, 1, 2),
        note=f"{LIPGROW_NOTE} The numbers are in the appendix, which we do not have.",
    ),
)
