"""Options that several definitions share: each paper's own setting, and the small one."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from growsearch.reproductions.definition import Cells, Options, Rows

BASIC3, BASIC4 = "basic3resnet", "basic4resnet"
LIPGROW_NOTE = (
    "The paper's setting: 164 epochs, batches of 128, learning rate 0.5 to 0.001. Validation "
    "images are the first half of the test set, as in the authors' program."
)
AUTOGROW_NOTE = (
    "The paper's setting: batches of 128, learning rate 0.1, J = 100, 200 epochs of fine-tuning. "
    "Validation images are the test set, as in the authors' program, so growth decisions see it."
)
DIGITS_NOTE = (
    "Small: 1,197 training, 300 validation and 300 test images of 8x8 pixels (scikit-learn's "
    "digits) in place of the paper's data"
)

SMALL_END = (
    "20 epochs of fine-tuning for 200, at most 50 intervals in all (100 epochs if these are more), "
    "but for AdamInit's own epochs."
)


def lipgrow(dataset: str, **options: Any) -> dict[str, Any]:
    """LipGrow's own setting (section 5.2); what is not here is the default of its policies."""
    return {
        "dataset": dataset, "split": "paper", "network": BASIC3, "epochs": 164, "lr": 0.5, **options
    }  # fmt: skip


def lipgrow_small(**options: Any) -> dict[str, Any]:
    """LipGrow on the digits, in 30 epochs at a learning rate of 0.1."""
    return {"dataset": "digits", "network": BASIC3, "epochs": 30, "lr": 0.1, **options}


LIPGROW_SMALL_NOTE = f"{DIGITS_NOTE}; 30 epochs for 164, learning rate 0.1 for 0.5"
HAND_TUNED, HAND_TUNED_SMALL = [60, 110], [11, 20]
"""The epochs of hand-tuned growths, which the paper's text lacks, and the same shares of 30."""
HAND_TUNED_NOTE = f"{LIPGROW_SMALL_NOTE}; growths after epochs 11 and 20, for 60 and 110."

LIPSCHITZ = {"policy": "lipschitz", "rtol": 1.4, "window": 10, "reserve": 30}
LIPSCHITZ_SMALL = {"policy": "lipschitz", "rtol": 1.05, "window": 2}


def networks_found(rows: Iterable[str], *found: tuple[str, float]) -> dict[str, Cells]:
    """The paper's numbers of these rows: the network that was found, and its accuracy."""
    return {
        row: {"network": network, "val_accuracy": accuracy}
        for row, (network, accuracy) in zip(rows, found, strict=True)
    }


def autogrow(dataset: str, network: str = BASIC3, **options: Any) -> dict[str, Any]:
    """AutoGrow's own setting (section 3), growing every K epochs or on convergence."""
    usual: dict[str, Any] = {
        "split": "autogrow-paper", "tau": 0.05, "finetune_epochs": 200, "lr": 0.1,
        "weight_decay": 5e-4,
    }  # fmt: skip
    if options.get("policy", "periodic") == "periodic":
        usual |= {"policy": "periodic", "patience": 100}
    return {"dataset": dataset, "network": network, **usual, **options}


def by_interval(setting: Callable[..., Options], intervals: Mapping[str, int]) -> Rows:
    """Rows of one setting that differ in the growing interval K."""
    return {row: setting(interval=interval) for row, interval in intervals.items()}


def autogrow_small(**options: Any) -> dict[str, Any]:
    """AutoGrow on the digits, with J = 20.

    A trial ends after 50 intervals if it still grows. An interval is longer on parts of the images.
    """
    interval = options["interval"] / options.get("train_fraction", 1)
    usual: dict[str, Any] = {
        "tau": 0.05, "finetune_epochs": 20, "epochs": max(round(50 * interval), 100), "lr": 0.1,
    }  # fmt: skip
    if options.get("policy", "periodic") == "periodic":
        usual |= {"policy": "periodic", "patience": 20}
    return {"dataset": "digits", "network": BASIC3, **usual, **options}
