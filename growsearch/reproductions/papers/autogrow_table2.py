"""AutoGrow's Table 2: network morphism of a converged network against training from scratch."""

from typing import Any

from growsearch.reproductions.definition import Cells, Claim, Reproduction, Rows, Scale
from growsearch.reproductions.drawing import Points
from growsearch.reproductions.settings import AUTOGROW_NOTE, BASIC3, BASIC4, DIGITS_NOTE
from growsearch.reproductions.statistics import Minus

INITIALIZERS = {"ZeroInit": "zero", "AdamInit": "adam"}


def rows(seed: str, deeper: str, epochs: int, **options: Any) -> Rows:
    morphism = {
        "policy": "fixed", "growth_epochs": [epochs], "epochs": 2 * epochs, "placement": "end",
        "momentum_on_growth": "carry", "lr_schedule": "staircase", "lr": 0.1, "weight_decay": 5e-4,
    }  # fmt: skip
    return {
        name: {
            "network": BASIC3, **morphism, **options, "architecture": seed,
            "growth_architectures": deeper, "initializer": initializer,
        }
        for name, initializer in INITIALIZERS.items()
    }  # fmt: skip


def _of(accuracy: float, delta: float) -> Cells:
    return {"val_accuracy": accuracy, "delta": delta}


CIFAR10 = {"dataset": "cifar10", "split": "autogrow-paper"}

DEFINITION = Reproduction(
    title="Network morphism against training from scratch",
    place="AutoGrow, Table 2",
    quantities=("val_accuracy", "delta"),
    numbers={
        "Basic3ResNet 3-3-3 to 5-5-5": {
            "ZeroInit": _of(92.71, -0.77), "AdamInit": _of(92.82, -0.66)
        },
        "Basic3ResNet 5-5-5 to 9-9-9": {
            "ZeroInit": _of(93.64, -0.27), "AdamInit": _of(93.53, -0.38)
        },
        "Basic4ResNet 1-1-1-1 to 2-2-2-2": {
            "ZeroInit": _of(94.96, -0.37), "AdamInit": _of(95.17, -0.16)
        },
    },
    claims=tuple(
        Claim(
            f"after morphism by {name} the network ends less accurate than from scratch",
            Minus("delta", name),
        )
        for name in INITIALIZERS
    ),
    drawing=Points("delta"),
    small=Scale(
        groups={
            "Basic3ResNet 2-2-2 to 4-4-4, digits": rows("2-2-2", "4-4-4", 30, dataset="digits")
        },
        seeds=(0, 1, 2, 3, 4),
        note=f"{DIGITS_NOTE}; 30 epochs at each depth for 200; shallower networks.",
    ),
    paper=Scale(
        groups={
            "Basic3ResNet 3-3-3 to 5-5-5": rows("3-3-3", "5-5-5", 200, **CIFAR10),
            "Basic3ResNet 5-5-5 to 9-9-9": rows("5-5-5", "9-9-9", 200, **CIFAR10),
            "Basic4ResNet 1-1-1-1 to 2-2-2-2": rows(
                "1-1-1-1", "2-2-2-2", 200, **CIFAR10, network=BASIC4
            ),
        },
        seeds=(0, 1, 2),
        note=f"{AUTOGROW_NOTE} Each depth is trained for 200 epochs with the staircase.",
    ),
    from_scratch=True,
)  # fmt: skip
