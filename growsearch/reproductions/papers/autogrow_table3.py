"""AutoGrow's Table 3: c-AutoGrow by learning rate and initializer."""

from growsearch.reproductions.definition import Cells, Claim, Options, Reproduction, Rows, Scale
from growsearch.reproductions.drawing import Points
from growsearch.reproductions.settings import (
    AUTOGROW_NOTE,
    DIGITS_NOTE,
    SMALL_END,
    autogrow,
    autogrow_small,
)
from growsearch.reproductions.statistics import Difference

INITIALIZERS = {
    "ZeroInit": "zero", "AdamInit": "adam", "UniInit": "uniform", "GauInit": "gaussian"
}  # fmt: skip
ROWS = (
    "staircase ZeroInit", "staircase AdamInit", "constant ZeroInit", "constant AdamInit",
    "constant UniInit", "constant GauInit",
)  # fmt: skip


def rows(options: Options) -> Rows:
    def of(row: str) -> Options:
        schedule, initializer = row.split()
        return {**options, "lr_schedule": schedule, "initializer": INITIALIZERS[initializer]}

    return {row: of(row) for row in ROWS}


def _of(network: str, accuracy: float, delta: float) -> Cells:
    return {"network": network, "val_accuracy": accuracy, "delta": delta}


DEFINITION = Reproduction(
    title="c-AutoGrow by learning rate and initializer",
    place="AutoGrow, Table 3",
    quantities=("network", "val_accuracy", "delta"),
    numbers={
        "CIFAR-10": {
            "staircase ZeroInit": _of("2-3-6", 91.77, -1.06),
            "staircase AdamInit": _of("3-4-3", 92.21, -0.59),
            "constant ZeroInit": _of("2-2-4", 92.23, 0.16),
            "constant AdamInit": _of("3-4-4", 92.60, -0.41),
            "constant UniInit": _of("3-4-4", 92.93, -0.08),
            "constant GauInit": _of("2-4-3", 93.12, 0.55),
        },
        "CIFAR-100": {
            "staircase ZeroInit": _of("4-3-4", 70.04, -0.65),
            "staircase AdamInit": _of("3-3-3", 69.85, -0.65),
            "constant ZeroInit": _of("3-2-4", 70.22, 0.35),
            "constant AdamInit": _of("3-3-3", 70.00, -0.50),
            "constant UniInit": _of("4-4-3", 70.39, 0.36),
            "constant GauInit": _of("3-4-3", 70.66, 0.91),
        },
    },
    claims=(
        Claim(
            "a constant learning rate improves the delta of ZeroInit",
            Difference("delta", "constant ZeroInit", "staircase ZeroInit"),
        ),
        Claim(
            "a constant learning rate improves the delta of AdamInit",
            Difference("delta", "constant AdamInit", "staircase AdamInit"),
        ),
        Claim(
            "at a constant rate GauInit is more accurate than ZeroInit",
            Difference("val_accuracy", "constant GauInit", "constant ZeroInit"),
        ),
        Claim(
            "at a constant rate GauInit is more accurate than AdamInit",
            Difference("val_accuracy", "constant GauInit", "constant AdamInit"),
        ),
    ),
    drawing=Points("val_accuracy"),
    small=Scale(
        groups={"digits": rows(autogrow_small(policy="convergent", interval=10))},
        seeds=(0, 1, 2),
        note=f"{DIGITS_NOTE}; K = 10 for 100, {SMALL_END}",
    ),
    paper=Scale(
        groups={
            "CIFAR-10": rows(autogrow("cifar10", policy="convergent", interval=100)),
            "CIFAR-100": rows(autogrow("cifar100", policy="convergent", interval=100)),
        },
        seeds=(0, 1, 2),
        note=f"{AUTOGROW_NOTE} Convergent growth has K = 100.",
    ),
    from_scratch=True,
)
