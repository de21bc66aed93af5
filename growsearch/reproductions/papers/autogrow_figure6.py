"""AutoGrow's Figure 6: accuracy against parameters, AutoGrow and networks trained from scratch."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from growsearch.reproductions.definition import Claim, Options, Reproduction, Rows, Scale
from growsearch.reproductions.drawing import Against
from growsearch.reproductions.settings import (
    AUTOGROW_NOTE,
    BASIC3,
    BASIC4,
    DIGITS_NOTE,
    SMALL_END,
    autogrow,
    autogrow_small,
    by_interval,
)
from growsearch.reproductions.statistics import Difference, OverBest

SMALL_K, LARGE_K, SHALLOWEST = "AutoGrow, small K", "AutoGrow, large K", "from scratch 1"


def rows(
    setting: Callable[..., Options],
    intervals: Mapping[str, int],
    scratch: Options,
    stacks: int,
    depths: Iterable[int],
) -> Rows:
    baseline = {"policy": "none", "lr_schedule": "staircase", "lr": 0.1, "weight_decay": 5e-4}
    return {
        **by_interval(setting, intervals),
        **{
            f"from scratch {n}": {
                **scratch,
                **baseline,
                "architecture": "-".join([str(n)] * stacks),
            }
            for n in depths
        },
    }  # fmt: skip


def of_paper(network: str, stacks: int, depths: Iterable[int]) -> Rows:
    scratch = {"dataset": "cifar10", "split": "autogrow-paper", "network": network, "epochs": 200}
    intervals = {SMALL_K: 3, LARGE_K: 50}
    return rows(partial(autogrow, "cifar10", network), intervals, scratch, stacks, depths)


DEFINITION = Reproduction(
    title="AutoGrow and networks of many depths from scratch",
    place="AutoGrow, Figure 6",
    quantities=("network", "parameters", "val_accuracy"),
    numbers={
        "Basic3ResNet": {
            SMALL_K: {"network": "42-42-42", "val_accuracy": 94.27},
            LARGE_K: {"network": "6-5-3", "val_accuracy": 92.95},
        },
        "Basic4ResNet": {SMALL_K: {"network": "22-22-22-22", "val_accuracy": 95.49}},
    },
    claims=(
        Claim(
            "the network found is where accuracy saturates: at most 0.5 points behind the best "
            "from scratch",
            OverBest("val_accuracy", SMALL_K, "from scratch *"),
            above=-0.5,
        ),
        Claim(
            "it is more accurate than the shallowest network from scratch",
            Difference("val_accuracy", SMALL_K, SHALLOWEST),
        ),
    ),
    drawing=Against("val_accuracy", "parameters", joined=True),
    small=Scale(
        groups={
            "Basic3ResNet, digits": rows(
                autogrow_small,
                {SMALL_K: 2, LARGE_K: 10},
                {"dataset": "digits", "network": BASIC3, "epochs": 20},
                3,
                (1, 2, 4, 6, 9),
            )
        },
        seeds=(0, 1, 2),
        note=f"{DIGITS_NOTE}; K = 2 and 10 for 3 and 50, J = 20 for 100, 20 epochs from scratch "
        f"for 200, {SMALL_END}",
    ),
    paper=Scale(
        groups={
            "Basic3ResNet": of_paper(BASIC3, 3, (1, 3, 5, 9, 18, 30, 42, 54)),
            "Basic4ResNet": of_paper(BASIC4, 4, (1, 2, 3, 6, 12, 22, 30)),
        },
        seeds=(0, 1, 2),
        note=f"{AUTOGROW_NOTE} The paper draws the networks from scratch without numbers.",
    ),
)
