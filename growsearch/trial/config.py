"""What a trial is: every choice that decides what it trains, in one frozen value."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from types import SimpleNamespace
from typing import Any

from growsearch.trial import choices
from growsearch.trial.architecture import Architecture
from growsearch.trial.defaults import complete, scaled_interval, surprises
from growsearch.trial.errors import InputError
from growsearch.trial.optimizer_changes import parse_change
from growsearch.trial.options import check_option, option, suggestion


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """One trial: a network, how it is trained and how it grows.

    Defaults are those of the policy's paper: LipGrow's for CIFAR, or AutoGrow's. An option that
    the trial has no use for is None. Values are brought to one spelling (2.0 epochs are 2 epochs),
    so equal trials compare and hash equal. Raises InputError for a value outside its rule.
    """

    dataset: str = option("digits", str, "the images to learn", choices=choices.DATASETS)
    data_dir: str | None = option(None, str, "folder with the data set's files")
    split: str = option(
        "clean", str, "clean: validation images come out of the training set, and the test set is "
        "left alone; paper: they are half of the test set, as in LipGrow's program; "
        "autogrow-paper: they are the test set, as in AutoGrow's", choices=choices.SPLITS,
    )  # fmt: skip
    train_size: int | None = option(
        None, int, "train on this many images, drawn class-balanced from --seed", least=1
    )
    train_fraction: float | None = option(
        None, float, "train on this share of the images, drawn likewise; --interval is divided by "
        "it (AutoGrow, section 3.3)", above=0, most=1,
    )  # fmt: skip
    image_size: int | None = option(
        None, int, "pad images with black to this height and width", least=1,
        default="the images' own; AutoGrow: 32 for mnist and fashion-mnist",
    )  # fmt: skip
    network: str = option(
        "basic3resnet", str, "the network family", choices=tuple(choices.NETWORKS)
    )
    architecture: str = option(
        None, str, "sub-modules (residual blocks) per sub-network to start from",
        parse=Architecture, default="2 in each; AutoGrow: 1 in each",
    )  # fmt: skip
    bn_gamma_init: str = option(
        "one", str, "scales of batch normalizations to start from: one, or uniform in [0, 1] as in "
        "the PyTorch of AutoGrow's program", choices=choices.BN_GAMMAS,
    )  # fmt: skip
    policy: str = option(
        "lipschitz", str, "when the network grows. none: never. fixed, hand-tuned: after given "
        "epochs. lipschitz: when the Lipschitz constant of its blocks has risen, all sub-networks "
        "at once; lipschitz-subnetworks: each alone (LipGrow). periodic: every few epochs; "
        "convergent: when accuracy has stopped rising; both one sub-network after the other, until "
        "none helps (AutoGrow)", choices=tuple(choices.POLICIES),
    )  # fmt: skip
    growth_epochs: tuple[int, ...] | None = option(
        None, int, "fixed, hand-tuned: grow after these epochs", least=1, many=True,
        default="hand-tuned: 60 and 110 of 164 epochs, in that proportion",
    )  # fmt: skip
    growth_architectures: tuple[str, ...] | None = option(
        None, str, "fixed, hand-tuned: what to grow to, one for each of the growth epochs",
        parse=Architecture, many=True, default="twice the depth each time",
    )  # fmt: skip
    rtol: float | None = option(
        None, float, "lipschitz: grow when the smoothed constant exceeds its baseline by this "
        "factor", above=0, default=1.4,
    )  # fmt: skip
    window: int | None = option(
        None, int, "lipschitz: epochs that the constant is averaged over", least=1, default=10
    )
    baseline: str | None = option(
        None, str, "lipschitz: what the smoothed constant is compared with, its own first value or "
        "the first epoch's, since the last growth", choices=choices.BASELINES, default="window",
    )  # fmt: skip
    reserve: int | None = option(
        None, int, "lipschitz: epochs kept for the final depth, whose growth is forced if need be",
        least=1, default="30 of 164 epochs, in that proportion",
    )  # fmt: skip
    interval: int | None = option(
        None, int, "periodic: K, grow every so many epochs; convergent: check every so many",
        least=1, default="periodic: 3, on imagenet 2; convergent: half of --finetune-epochs, on "
        "imagenet a third",
    )  # fmt: skip
    patience: int | None = option(
        None, int, "periodic: J, a sub-network stops growing when accuracy has not risen by tau in "
        "so many epochs", least=1,
        default="half of the epochs of fine-tuning, on imagenet a third: those at the largest "
        "learning rate",
    )  # fmt: skip
    tau: float | None = option(
        None, float, "periodic, convergent: the least rise of validation accuracy that counts, in "
        "percentage points", above=0, most=100, default=0.05,
    )  # fmt: skip
    finetune_epochs: int | None = option(
        None, int, "periodic, convergent: N, epochs that the found network is fine-tuned for, "
        "among --epochs", least=1, default="200; imagenet: 90",
    )  # fmt: skip
    max_architecture: str | None = option(
        None, str, "lipschitz: the final depth, reached by doubling; periodic, convergent: no "
        "sub-network grows deeper", parse=Architecture,
        default="lipschitz: the seed doubled twice; AutoGrow: none",
    )  # fmt: skip
    initializer: str | None = option(
        None, str, "weights of new blocks. clone: copies of their neighbours. default: new ones. "
        "zero, uniform, gaussian: new ones, the last batch normalization of the residual zero (so "
        "that it adds nothing yet) or drawn with deviation 1; uniform-official: from [0, 1]. adam: "
        "new ones, that normalization trained alone until accuracy is back. partial: new ones, "
        "trained an epoch alone", choices=choices.INITIALIZERS,
        default="clone; AutoGrow: gaussian; plain nets: default",
    )  # fmt: skip
    scaling: str | None = option(
        None, str, "clone: where the step size N/N+ goes, into the weights and running statistics, "
        "the weights alone, or a factor of the residual", choices=choices.SCALINGS, default="paper",
    )  # fmt: skip
    placement: str | None = option(
        None, str, "where new blocks go, but for clone: one behind each old one as far as they "
        "reach, or all at the end of the sub-network", choices=choices.PLACEMENTS,
        default="between; AutoGrow: end",
    )  # fmt: skip
    momentum_on_growth: str | None = option(
        None, str, "whether parameters that growth keeps also keep their momentum",
        choices=choices.MOMENTA, default="reset; AutoGrow: carry",
    )  # fmt: skip
    epochs: int = option(
        None, int, "epochs in all; AutoGrow: at most. Those that initialize new blocks (adam, "
        "partial) come on top", least=1, default="164; AutoGrow: 5000",
    )  # fmt: skip
    batch_size: int = option(
        None, int, "images a training step", least=2, default="128; imagenet: 256"
    )
    lr: float = option(
        None, float, "the largest learning rate", above=0,
        default="0.5; AutoGrow: 0.1; plain nets: 0.01",
    )  # fmt: skip
    lr_schedule: str = option(
        None, str, "how the learning rate falls until fine-tuning, which has a staircase: a tenth "
        "after 1/2 and 3/4 of its epochs. adaptive-cosine starts anew at each growth, staircase at "
        "each growth that is scheduled or each interval", choices=tuple(choices.LR_SCHEDULES),
        default="adaptive-cosine; AutoGrow: constant",
    )  # fmt: skip
    lr_epochs: tuple[int, ...] | None = option(
        None, int, "cosine-restarts: start anew after these epochs; step: a tenth after each",
        least=1, many=True, default="restarts: the growth epochs; step: at 1/2 and 3/4",
    )  # fmt: skip
    optimizer_changes: tuple[str, ...] | None = option(
        None, str, "another largest lr or weight_decay after an epoch, like 10:lr=0.05; what "
        "scheduler pbt searches for", parse=parse_change, many=True,
    )  # fmt: skip
    weight_decay: float = option(
        None, float, "L2 penalty on all parameters", least=0,
        default="2e-4; AutoGrow: 5e-4, on imagenet 1e-4",
    )  # fmt: skip
    seed: int = option(0, int, "source of every random draw", least=0)
    record_lipschitz: str = option(
        "subnetworks", str, "down to which part Lipschitz constants are recorded",
        choices=choices.LIPSCHITZ_DETAILS,
    )  # fmt: skip
    device: str = option(
        "auto", str, "auto takes the GPU where there is one", choices=choices.DEVICES
    )
    precision: str = option(
        "auto", str, "numbers to train and evaluate in; auto takes bfloat16 where a measurement, "
        "once for each machine, finds it faster", choices=choices.PRECISIONS,
    )  # fmt: skip
    compile: str = option(
        "auto", str, "whether training steps are compiled, block by block (torch.compile); auto "
        "does where that pays back within the trial, which is measured once for each machine and "
        "kind of trial, and for trials of ten minutes and more", choices=choices.COMPILE,
    )  # fmt: skip

    def __post_init__(self) -> None:
        trial = SimpleNamespace(**{n: check_field(n, getattr(self, n)) for n in field_names()})
        complete(trial)
        for name, value in vars(trial).items():
            object.__setattr__(self, name, value)

    @property
    def growing_epochs(self) -> int:
        """Epochs until fine-tuning, at most; all of them where there is none."""
        return self.epochs - (self.finetune_epochs or 0)

    @property
    def interval_epochs(self) -> int:
        """AutoGrow's K in epochs of this trial: those of a part of the data are shorter."""
        return scaled_interval(self)

    @property
    def notes(self) -> list[str]:
        """What the options mean where it is not what they say; a line each."""
        return surprises(self)

    def to_flat(self) -> dict[str, Any]:
        """Every field as a string, number or None; epochs in a row become "60 110"."""
        return {
            name: " ".join(map(str, value)) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_flat(cls, flat: Mapping[str, Any]) -> "TrialConfig":
        """The inverse of `to_flat`; InputError for a field that does not exist."""
        for name in flat:
            check_name(name)
        return cls(**flat)

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that name this configuration, in any process on any host."""
        text = json.dumps(self.to_flat(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def field_names() -> list[str]:
    return [f.name for f in fields(TrialConfig)]


def check_name(name: str) -> None:
    """InputError, with the nearest name, if TrialConfig has no field `name`."""
    if name not in field_names():
        raise InputError(f"a trial has no field {name!r}{suggestion(name, field_names())}")


def check_field(name: str, value: Any) -> Any:
    """`value` in its one spelling, checked against the rule of field `name` alone.

    Raises InputError if it breaks the rule. Rules between fields are in trial_rules.py.
    """
    spec = next(f for f in fields(TrialConfig) if f.name == name)
    if value is None and spec.default is None:
        return None
    return check_option(name, value, spec.metadata)
