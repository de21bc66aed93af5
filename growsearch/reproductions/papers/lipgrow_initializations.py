"""LipGrow's cloning against other initializations of new blocks (section 3.2, and its appendix)."""

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
from growsearch.reproductions.statistics import Difference

INITIALIZERS = {"clone": "clone", "random": "default", "identity": "zero", "partial": "partial"}

READING = (
    "The claims are our reading of the text, which calls other initializations deficient without "
    "numbers; the reasons are in its appendix, which we do not have."
)


def rows(options: Options, growths: list[int]) -> Rows:
    grows = {"policy": "hand-tuned", "architecture": "2-2-2", "growth_epochs": growths}
    return {
        name: {**options, **grows, "initializer": initializer}
        for name, initializer in INITIALIZERS.items()
    }


DEFINITION = Reproduction(
    title="Cloning against other initializations of new blocks",
    place="LipGrow, section 3.2",
    quantities=("val_accuracy", "test_accuracy"),
    numbers={},
    claims=tuple(
        Claim(
            f"cloned blocks end more accurate than those of {name} initialization",
            Difference("val_accuracy", "clone", name),
        )
        for name in INITIALIZERS
        if name != "clone"
    ),
    drawing=Points("val_accuracy"),
    small=Scale(
        groups={"digits": rows(lipgrow_small(), HAND_TUNED_SMALL)},
        seeds=(0, 1, 2, 3, 4),
        note=f"{HAND_TUNED_NOTE} {READING}",
    ),
    paper=Scale(
        groups={
            "CIFAR-10": rows(lipgrow("cifar10"), HAND_TUNED),
            "CIFAR-100": rows(lipgrow("cifar100"), HAND_TUNED),
        },
        seeds=(0, 1, 2),
        note=f"{LIPGROW_NOTE} Growths are hand-tuned, so that the weights alone differ. {READING}",
    ),
)
