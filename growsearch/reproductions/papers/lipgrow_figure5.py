"""LipGrow's Figure 5: sampled growth schedules, the hand-tuned one, and LipGrow."""

import random
from collections.abc import Iterable
from itertools import combinations

from growsearch.reproductions.definition import Claim, Options, Reproduction, Rows, Scale
from growsearch.reproductions.drawing import Against
from growsearch.reproductions.settings import (
    HAND_TUNED,
    HAND_TUNED_SMALL,
    LIPGROW_NOTE,
    LIPGROW_SMALL_NOTE,
    LIPSCHITZ,
    LIPSCHITZ_SMALL,
    lipgrow,
    lipgrow_small,
)
from growsearch.reproductions.statistics import OverBest, UnderBest

SAMPLED = 16


def rows(options: Options, grows: Options, hand_tuned: list[int], epochs: Iterable[int]) -> Rows:
    start = {**options, "architecture": "2-2-2"}
    pairs = [pair for pair in map(list, combinations(epochs, 2)) if pair != hand_tuned]
    sampled = sorted(random.Random(0).sample(pairs, SAMPLED))
    return {
        "LipGrow": {**start, **grows},
        "hand-tuned": {**start, "policy": "hand-tuned", "growth_epochs": hand_tuned},
        **{
            f"sampled {first}, {second}": {
                **start, "policy": "fixed", "growth_epochs": [first, second]
            }
            for first, second in sampled
        },
    }  # fmt: skip


DEFINITION = Reproduction(
    title="Sampled schedules, the hand-tuned one, and LipGrow",
    place="LipGrow, Figure 5",
    quantities=("ppe", "best_val_accuracy"),
    numbers={},
    claims=(
        Claim(
            "LipGrow is Pareto-optimal: more accurate than the best schedule that costs no more",
            OverBest("best_val_accuracy", "LipGrow", "*", cost="ppe"),
        ),
        Claim(
            "the hand-tuned schedule can be improved: one that costs no more is more accurate",
            UnderBest("best_val_accuracy", "hand-tuned", "*", cost="ppe"),
        ),
    ),
    drawing=Against("best_val_accuracy", "ppe", starred=True),
    small=Scale(
        groups={"digits": rows(lipgrow_small(), LIPSCHITZ_SMALL, HAND_TUNED_SMALL, range(2, 28))},
        seeds=(0, 1, 2, 3, 4),
        note=f"{LIPGROW_SMALL_NOTE}, rtol 1.05 for 1.4, "
        "window 2 for 10, hand-tuned growths in the proportion of 60 and 110 of 164 epochs.",
    ),
    paper=Scale(
        groups={"CIFAR-10": rows(lipgrow("cifar10"), LIPSCHITZ, HAND_TUNED, range(10, 150, 5))},
        seeds=(0, 1, 2, 3, 4),
        note=f"{LIPGROW_NOTE} The paper does not give its sampled schedules.",
    ),
)
