"""LipGrow's adaptive cosine against other learning-rate schedules (section 4.4, its appendix)."""

from growsearch.reproductions.definition import Claim, Options, Reproduction, Rows, Scale
from growsearch.reproductions.drawing import Points
from growsearch.reproductions.settings import (
    HAND_TUNED,
    HAND_TUNED_NOTE,
    HAND_TUNED_SMALL,
    LIPGROW_NOTE,
    lipgrow,
    lipgrow_small,
)
from growsearch.reproductions.statistics import WorstToBest


def rows(options: Options, growths: list[int]) -> Rows:
    grows = {**options, "policy": "hand-tuned", "architecture": "2-2-2", "growth_epochs": growths}
    return {
        "adaptive cosine": {**grows, "lr_schedule": "adaptive-cosine"},
        "cosine": {**grows, "lr_schedule": "cosine"},
        "cosine with restarts": {**grows, "lr_schedule": "cosine-restarts", "lr_epochs": growths},
    }


DEFINITION = Reproduction(
    title="Learning-rate schedules of a growing network",
    place="LipGrow, section 4.4",
    quantities=("val_accuracy", "test_accuracy"),
    numbers={},
    claims=(
        Claim(
            "the schedules perform alike: the worst is at most 1 point behind the best",
            WorstToBest("val_accuracy", "*"),
            above=-1,
        ),
    ),
    drawing=Points("val_accuracy"),
    small=Scale(
        groups={"digits": rows(lipgrow_small(), HAND_TUNED_SMALL)},
        seeds=(0, 1, 2, 3, 4),
        note=HAND_TUNED_NOTE,
    ),
    paper=Scale(
        groups={
            "CIFAR-10": rows(lipgrow("cifar10"), HAND_TUNED),
            "CIFAR-100": rows(lipgrow("cifar100"), HAND_TUNED),
        },
        seeds=(0, 1, 2),
        note=f"{LIPGROW_NOTE} Growths are hand-tuned, where restarts are known. The numbers are "
        "in the appendix, which we do not have.",
    ),
)
