"""AutoGrow's Table 4: p-AutoGrow by the growing interval K."""

from functools import partial

from growsearch.reproductions.definition import Claim, Reproduction, Scale
from growsearch.reproductions.drawing import Points
from growsearch.reproductions.settings import (
    AUTOGROW_NOTE,
    DIGITS_NOTE,
    SMALL_END,
    autogrow,
    autogrow_small,
    by_interval,
    networks_found,
)
from growsearch.reproductions.statistics import Difference

INTERVALS = {
    "K = J/2": 50, "K = J/5": 20, "K = J/10": 10, "K = J/20": 5, "K = 3J/100": 3, "K = J/100": 1
}  # fmt: skip
"""The paper's intervals, of J = 100 epochs."""
INTERVALS_SMALL = {"K = J/2": 10, "K = J/5": 4, "K = J/10": 2, "K = J/20": 1}
"""The same shares of J = 20 epochs."""


_numbers = partial(networks_found, INTERVALS)


DEFINITION = Reproduction(
    title="p-AutoGrow by the growing interval",
    place="AutoGrow, Table 4",
    quantities=("network", "blocks", "val_accuracy"),
    numbers={
        "CIFAR-10": _numbers(
            ("6-5-3", 92.95), ("7-7-7", 93.26), ("19-19-19", 93.46), ("23-22-22", 93.98),
            ("42-42-42", 94.27), ("77-76-76", 94.30),
        ),
        "CIFAR-100": _numbers(
            ("8-5-7", 72.07), ("8-11-10", 72.93), ("18-18-18", 73.64), ("23-23-23", 73.70),
            ("54-53-53", 74.72), ("68-68-68", 74.51),
        ),
    },
    claims=(
        Claim(
            "growth every J/20 epochs finds a deeper network than every J/2",
            Difference("blocks", "K = J/20", "K = J/2"),
        ),
        Claim(
            "growth every J/20 epochs finds a more accurate network than every J/2",
            Difference("val_accuracy", "K = J/20", "K = J/2"),
        ),
        Claim(
            "accuracy is on its plateau at K = 3: at most 0.5 points behind K = 1",
            Difference("val_accuracy", "K = 3J/100", "K = J/100"),
            above=-0.5,
        ),
    ),
    drawing=Points("val_accuracy"),
    small=Scale(
        groups={"digits": by_interval(autogrow_small, INTERVALS_SMALL)},
        seeds=(0, 1, 2),
        note=f"{DIGITS_NOTE}; J = 20 for 100, K the same shares of it, {SMALL_END}",
    ),
    paper=Scale(
        groups={
            "CIFAR-10": by_interval(partial(autogrow, "cifar10"), INTERVALS),
            "CIFAR-100": by_interval(partial(autogrow, "cifar100"), INTERVALS),
        },
        seeds=(0, 1, 2),
        note=AUTOGROW_NOTE,
    ),
)  # fmt: skip
