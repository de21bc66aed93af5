"""LipGrow's Figure 3: error over wall time, LipGrow against vanilla training, of ResNet-74."""

from growsearch.reproductions.definition import Claim, Reproduction, Scale
from growsearch.reproductions.drawing import Curves
from growsearch.reproductions.papers.lipgrow_table2 import DEFINITION as TABLE2
from growsearch.reproductions.statistics import Difference, Saving

LIPGROW, VANILLA = ROWS = "LipGrow ResNet-74", "vanilla ResNet-74"


def scale(name: str, group: str) -> Scale:
    whole = TABLE2.scale(name)
    rows = {row: whole.groups[group][row] for row in ROWS}
    return Scale(
        groups={group: rows},
        seeds=whole.seeds,
        note=f"{whole.note} Trials and records are those of lipgrow-table2. Seconds are those of "
        "training: each depth's fastest epoch, times its epochs.",
    )


DEFINITION = Reproduction(
    title="Error over wall time",
    place="LipGrow, Figure 3",
    quantities=("seconds", "train_error", "val_error"),
    numbers={},
    claims=(
        Claim(
            "LipGrow takes less wall time than vanilla training",
            Saving("seconds", LIPGROW, VANILLA),
        ),
        Claim(
            "LipGrow's last validation error is at most 1 point higher",
            Difference("val_accuracy", LIPGROW, VANILLA),
            above=-1,
        ),
    ),
    drawing=Curves(),
    small=scale("small", "digits"),
    paper=scale("paper", "CIFAR-10"),
    study="lipgrow-table2",
)
