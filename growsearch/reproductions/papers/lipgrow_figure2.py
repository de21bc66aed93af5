"""LipGrow's Figure 2: error against the step size 1/N, for ResNet and pre-activation ResNet."""

from collections.abc import Iterable

from growsearch.reproductions.definition import Claim, Options, Reproduction, Rows, Scale
from growsearch.reproductions.drawing import Against
from growsearch.reproductions.settings import (
    LIPGROW_NOTE,
    LIPGROW_SMALL_NOTE,
    lipgrow,
    lipgrow_small,
)
from growsearch.reproductions.statistics import Correlation, MoreCorrelated

NETWORKS = {"ResNet": "basic3resnet", "pre-activation": "preact3resnet"}
BLOCKS = (2, 3, 4, 6, 8, 12)


def rows(options: Options, blocks: Iterable[int]) -> Rows:
    return {
        f"{name} {n}-{n}-{n}": {
            **options, "network": network, "policy": "none", "architecture": f"{n}-{n}-{n}"
        }
        for name, network in NETWORKS.items()
        for n in blocks
    }  # fmt: skip


def correlation(error: str, network: str) -> Correlation:
    return Correlation(error, "step_size", f"{network} *")


DEFINITION = Reproduction(
    title="Error against step size",
    place="LipGrow, Figure 2",
    quantities=("step_size", "train_error", "test_error"),
    numbers={},
    claims=(
        Claim(
            "the pre-activation network's test error rises with the step size",
            correlation("test_error", "pre-activation"),
        ),
        Claim(
            "the pre-activation network's training error rises with the step size",
            correlation("train_error", "pre-activation"),
        ),
        Claim(
            "the ResNet's test error correlates less with the step size",
            MoreCorrelated(
                correlation("test_error", "pre-activation"), correlation("test_error", "ResNet")
            ),
        ),
    ),
    drawing=Against("test_error", "step_size", joined=True),
    small=Scale(
        groups={"digits": rows(lipgrow_small(), (2, 3, 4, 8, 12))},
        seeds=(0, 1, 2),
        note=f"{LIPGROW_SMALL_NOTE}. The paper draws its points without numbers.",
    ),
    paper=Scale(
        groups={"CIFAR-10": rows(lipgrow("cifar10"), BLOCKS)},
        seeds=(0, 1, 2),
        note=f"{LIPGROW_NOTE} The paper does not say at which depths it measures; here from "
        "ResNet-14 to ResNet-74.",
    ),
)
