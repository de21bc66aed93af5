"""LipGrow's Table 2: vanilla networks of four depths against LipGrow."""

from growsearch.reproductions.definition import (
    Cells,
    Claim,
    Number,
    Options,
    Reproduction,
    Rows,
    Scale,
)
from growsearch.reproductions.drawing import Against
from growsearch.reproductions.settings import (
    LIPGROW_NOTE,
    LIPGROW_SMALL_NOTE,
    LIPSCHITZ,
    LIPSCHITZ_SMALL,
    lipgrow,
    lipgrow_small,
)
from growsearch.reproductions.statistics import Difference, Saving

VANILLA = {14: "2-2-2", 20: "3-3-3", 50: "8-8-8", 74: "12-12-12"}
GROWING = {50: "2-2-2", 74: "3-3-3"}
"""What LipGrow's networks start from: two doublings lead to the final depth."""


def rows(options: Options, grows: Options) -> Rows:
    vanilla = {"policy": "none"}
    return {
        **{
            f"vanilla ResNet-{depth}": {**options, **vanilla, "architecture": blocks}
            for depth, blocks in VANILLA.items()
        },
        **{
            f"LipGrow ResNet-{depth}": {
                **options, **grows, "architecture": seed, "max_architecture": VANILLA[depth]
            }
            for depth, seed in GROWING.items()
        },
    }  # fmt: skip


def _of(val: Number, test: Number, ppe: Number) -> Cells:
    return {"val_accuracy": val, "test_accuracy": test, "ppe": ppe}


DEFINITION = Reproduction(
    title="Vanilla networks of four depths against LipGrow",
    place="LipGrow, Table 2",
    quantities=("val_accuracy", "test_accuracy", "ppe", "network"),
    numbers={
        "CIFAR-10": {
            "vanilla ResNet-14": _of((91.57, 0.10), (91.57, 0.25), 0.18e6),
            "vanilla ResNet-20": _of((92.50, 0.26), (92.22, 0.62), 0.27e6),
            "vanilla ResNet-50": _of((93.23, 0.24), (93.59, 0.30), 0.76e6),
            "vanilla ResNet-74": _of((93.25, 0.15), (93.76, 0.26), 1.15e6),
            "LipGrow ResNet-50": _of((92.89, 0.26), (92.99, 0.33), (0.33e6, 0.02e6)),
            "LipGrow ResNet-74": _of((93.53, 0.31), (93.46, 0.69), (0.54e6, 0.06e6)),
        },
        "CIFAR-100": {
            "vanilla ResNet-14": _of((67.39, 0.31), (67.50, 0.74), 0.18e6),
            "vanilla ResNet-20": _of((68.68, 0.45), (69.75, 0.13), 0.26e6),
            "vanilla ResNet-50": _of((70.86, 0.60), (71.40, 0.58), 0.76e6),
            "vanilla ResNet-74": _of((72.61, 0.38), (73.16, 0.40), 1.15e6),
            "LipGrow ResNet-50": _of((70.63, 0.26), (71.70, 0.67), (0.41e6, 0.03e6)),
            "LipGrow ResNet-74": _of((72.47, 0.18), (72.75, 0.59), (0.54e6, 0.01e6)),
        },
    },
    claims=tuple(
        claim
        for depth in GROWING
        for claim in (
            Claim(
                f"LipGrow's ResNet-{depth} validates at most 1 point worse than the vanilla one",
                Difference("val_accuracy", f"LipGrow ResNet-{depth}", f"vanilla ResNet-{depth}"),
                above=-1,
            ),
            Claim(
                f"LipGrow's ResNet-{depth} saves over 40 % of the vanilla one's PPE (section 5.3 "
                "says more than 50 %, the table 46 to 57 %)",
                Saving("ppe", f"LipGrow ResNet-{depth}", f"vanilla ResNet-{depth}"),
                above=0.4,
            ),
        )
    ),
    drawing=Against("val_accuracy", "ppe", starred=True),
    small=Scale(
        groups={"digits": rows(lipgrow_small(), LIPSCHITZ_SMALL)},
        seeds=(0, 1, 2, 3, 4),
        note=f"{LIPGROW_SMALL_NOTE}, rtol 1.05 for 1.4, window 2 for 10.",
    ),
    paper=Scale(
        groups={
            "CIFAR-10": rows(lipgrow("cifar10"), LIPSCHITZ),
            "CIFAR-100": rows(lipgrow("cifar100"), LIPSCHITZ),
        },
        seeds=(0, 1, 2),
        note=LIPGROW_NOTE,
    ),
)
