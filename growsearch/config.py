"""What a trial is: every choice that decides what it trains, in one frozen value."""

import difflib
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, SupportsFloat

from growsearch.architecture import Architecture
from growsearch.errors import InputError

DATASETS = (
    "digits", "fashion-mnist", "mnist", "cifar10", "cifar100", "svhn", "tiny-imagenet"
)  # fmt: skip
NETWORKS = {"basic3resnet": 3, "preact3resnet": 3, "basic4resnet-imagenet": 4}
"""Network families and their number of sub-networks."""
_GROWING = ("initializer", "scaling")
_LIPSCHITZ = ("rtol", "window", "baseline", "reserve", "max_architecture", *_GROWING)
POLICIES = {
    "none": (),
    "fixed": ("growth_epochs", *_GROWING),
    "hand-tuned": ("growth_epochs", *_GROWING),
    "lipschitz": _LIPSCHITZ,
    "lipschitz-subnetworks": _LIPSCHITZ,
}
"""Growth policies and the fields that have a meaning for each."""
BASELINES = ("window", "first-epoch")
INITIALIZERS = ("clone", "random", "zero", "partial")
SCALINGS = ("paper", "paper-literal", "step-size")
LR_SCHEDULES = {
    "adaptive-cosine": False, "cosine": False, "cosine-restarts": True, "step": True,
    "constant": False,
}  # fmt: skip
"""Learning-rate schedules, and whether epochs can be given to them."""
DEVICES = ("auto", "cpu", "cuda")


def _option(default: Any, kind: type, help: str, /, **rule: Any) -> Any:
    return field(default=default, metadata={"kind": kind, "help": help, **rule})


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """One trial: a network, how it is trained and how it grows. Defaults are LipGrow's for CIFAR.

    A field of a growth policy is None where the policy has no use for it, and takes its default
    where it has. Values are brought to one spelling (2.0 epochs are 2 epochs), so equal trials
    compare and hash equal. Raises InputError for a value outside its rule.
    """

    dataset: str = _option("digits", str, "the images to learn", choices=DATASETS)
    data_dir: str | None = _option(None, str, "folder with the data set's files")
    split: str = _option(
        "clean", str, "clean: validation images come out of the training set, and the test set is "
        "left alone; paper: they are half of the test set, as in LipGrow's program",
        choices=("clean", "paper"),
    )  # fmt: skip
    train_size: int | None = _option(
        None, int, "train on this many images, drawn class-balanced from --seed", least=1
    )
    network: str = _option("basic3resnet", str, "the network family", choices=tuple(NETWORKS))
    architecture: str = _option(
        "2-2-2", str, "blocks per sub-network to start from", parse=Architecture
    )
    policy: str = _option(
        "lipschitz", str, "when the network grows: never, after given epochs, or when the "
        "Lipschitz constant of its blocks has risen, all sub-networks at once or each alone",
        choices=tuple(POLICIES),
    )  # fmt: skip
    growth_epochs: tuple[int, ...] | None = _option(
        None, int, "fixed, hand-tuned: double the depth after these epochs", least=1, many=True,
        default="hand-tuned: 60 and 110 of 164 epochs, in that proportion",
    )  # fmt: skip
    rtol: float | None = _option(
        None, float, "lipschitz: grow when the smoothed constant exceeds its baseline by this "
        "factor", above=0, default=1.4,
    )  # fmt: skip
    window: int | None = _option(
        None, int, "lipschitz: epochs that the constant is averaged over", least=1, default=10
    )
    baseline: str | None = _option(
        None, str, "lipschitz: what the smoothed constant is compared with, its own first value or "
        "the first epoch's, since the last growth", choices=BASELINES, default="window",
    )  # fmt: skip
    reserve: int | None = _option(
        None, int, "lipschitz: epochs kept for the final depth, whose growth is forced if need be",
        least=1, default="30 of 164 epochs, in that proportion",
    )  # fmt: skip
    max_architecture: str | None = _option(
        None, str, "lipschitz: the final depth, reached by doubling",
        parse=Architecture, default="the seed doubled twice",
    )  # fmt: skip
    initializer: str | None = _option(
        None, str, "weights of new blocks: copies of their neighbours, new ones, new ones that add "
        "nothing yet, or new ones that train an epoch alone", choices=INITIALIZERS, default="clone",
    )  # fmt: skip
    scaling: str | None = _option(
        None, str, "clone: where the step size N/N+ goes, into the weights and running statistics, "
        "the weights alone, or a factor of the residual", choices=SCALINGS, default="paper",
    )  # fmt: skip
    epochs: int = _option(164, int, "epochs in all", least=1)
    batch_size: int = _option(128, int, "images a training step", least=2)
    lr: float = _option(0.5, float, "the largest learning rate", above=0)
    lr_schedule: str = _option(
        "adaptive-cosine", str, "how the learning rate falls; adaptive-cosine starts anew at each "
        "growth", choices=tuple(LR_SCHEDULES),
    )  # fmt: skip
    lr_epochs: tuple[int, ...] | None = _option(
        None, int, "cosine-restarts: start anew after these epochs; step: a tenth after each",
        least=1, many=True, default="restarts: the growth epochs; step: at 1/2 and 3/4",
    )  # fmt: skip
    weight_decay: float = _option(2e-4, float, "L2 penalty on all parameters", least=0)
    seed: int = _option(0, int, "source of every random draw", least=0)
    record_lipschitz: str = _option(
        "subnetworks", str, "down to which part Lipschitz constants are recorded",
        choices=("subnetworks", "blocks", "layers"),
    )  # fmt: skip
    device: str = _option("auto", str, "auto takes the GPU where there is one", choices=DEVICES)

    def __post_init__(self) -> None:
        for name in field_names():
            self._set(name, check_field(name, getattr(self, name)))
        self._check_sub_networks("architecture")
        self._check_policy_fields()
        if self.policy in ("fixed", "hand-tuned"):
            self._complete_growth_epochs()
        if self.policy.startswith("lipschitz"):
            self._complete_lipschitz()
        if self.policy != "none":
            self._complete_growing()
        self._complete_lr_epochs()

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _check_sub_networks(self, name: str) -> Architecture:
        architecture = Architecture(getattr(self, name))
        expected = NETWORKS[self.network]
        if len(architecture.blocks) != expected:
            raise InputError(
                f"{name} {str(architecture)!r} has {len(architecture.blocks)} sub-networks, but "
                f"{self.network} has {expected}; write it like {'-'.join(['2'] * expected)}"
            )
        return architecture

    def _check_policy_fields(self) -> None:
        for name in dict.fromkeys(name for names in POLICIES.values() for name in names):
            if name not in POLICIES[self.policy] and getattr(self, name) is not None:
                takers = [repr(policy) for policy, names in POLICIES.items() if name in names]
                raise InputError(
                    f"{name}={getattr(self, name)!r} belongs to policy {' or '.join(takers)}, but "
                    f"policy is {self.policy!r}; leave {name} out or choose another policy"
                )

    def _default(self, name: str, value: Any) -> None:
        if getattr(self, name) is None:
            self._set(name, value)

    def _proportion(self, epochs_of_164: int) -> int:
        """The paper's number of epochs, of its 164, in a trial of this length."""
        return max(round(self.epochs * epochs_of_164 / 164), 1)

    def _complete_growth_epochs(self) -> None:
        if self.policy == "hand-tuned":
            self._default("growth_epochs", (self._proportion(60), self._proportion(110)))
        if not self.growth_epochs:
            raise InputError("policy 'fixed' needs growth_epochs: give one or more, like 60 110")
        self._check_rising("growth_epochs", "a network grows after an epoch and trains on")

    def _check_rising(self, name: str, reason: str) -> None:
        given = getattr(self, name)
        if list(given) != sorted(set(given)) or given[-1] >= self.epochs:
            raise InputError(
                f"{name} {' '.join(map(str, given))} must rise and end before the last of "
                f"epochs={self.epochs}: {reason}"
            )

    def _complete_growing(self) -> None:
        self._default("initializer", "clone")
        if self.initializer == "clone":
            self._default("scaling", "paper")
            self._check_clonable()
        elif self.scaling is not None:
            raise InputError(
                f"scaling={self.scaling!r} belongs to initializer 'clone', but initializer is "
                f"{self.initializer!r}; leave scaling out"
            )

    def _check_clonable(self) -> None:
        blocks = Architecture(self.architecture).blocks
        if min(blocks) < 2:
            smallest = Architecture(max(n, 2) for n in blocks)
            raise InputError(
                f"architecture {self.architecture!r} cannot grow by cloning: the first block of a "
                f"sub-network is never cloned, so each needs a second; start from {smallest}, or "
                "choose another initializer or policy 'none'"
            )

    def _complete_lr_epochs(self) -> None:
        if self.lr_schedule == "cosine-restarts":
            self._default("lr_epochs", self.growth_epochs)
        if self.lr_schedule == "step" and self.epochs >= 4:
            self._default("lr_epochs", (self.epochs // 2, self.epochs * 3 // 4))
        if LR_SCHEDULES[self.lr_schedule]:
            if not self.lr_epochs:
                raise InputError(
                    f"lr_schedule {self.lr_schedule!r} needs lr_epochs, the epochs after which the "
                    "learning rate changes: give one or more, like 60 110"
                )
            self._check_rising("lr_epochs", "nothing is trained after the last")
        elif self.lr_epochs is not None:
            raise InputError(
                f"lr_epochs={self.lr_epochs} belongs to lr_schedule 'cosine-restarts' or 'step', "
                f"but lr_schedule is {self.lr_schedule!r}; leave lr_epochs out"
            )

    def _complete_lipschitz(self) -> None:
        seed = Architecture(self.architecture)
        self._default("rtol", 1.4)
        self._default("window", 10)
        self._default("baseline", "window")
        self._default("reserve", self._proportion(30))
        self._default("max_architecture", str(seed.doubled(2)))
        growths = seed.doublings_to(self._check_sub_networks("max_architecture"))
        assert self.window is not None and self.reserve is not None
        spoken_for = self.reserve + (growths - 1) * self.window
        if growths and spoken_for >= self.epochs:
            raise InputError(
                f"reserve={self.reserve} and window={self.window} do not fit: {growths} "
                f"growths keep {spoken_for} of epochs={self.epochs} for the deeper networks; lower "
                "reserve or window, or train longer"
            )

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


def suggestion(value: object, known: list[str]) -> str:
    """A clause like "; did you mean 'rtol'?", or one that lists what is known."""
    close = difflib.get_close_matches(str(value), known, n=1, cutoff=0.7)
    return f"; did you mean {close[0]!r}?" if close else f"; choose from {', '.join(known)}"


def check_name(name: str) -> None:
    """InputError, with the nearest name, if TrialConfig has no field `name`."""
    if name not in field_names():
        raise InputError(f"a trial has no field {name!r}{suggestion(name, field_names())}")


def check_field(name: str, value: Any) -> Any:
    """`value` in its one spelling, checked against the rule of field `name` alone.

    Raises InputError if it breaks the rule. Rules between fields are TrialConfig's own.
    """
    spec = next(f for f in fields(TrialConfig) if f.name == name)
    if value is None and spec.default is None:
        return None
    rule = spec.metadata
    if rule.get("many"):
        return tuple(_check_value(name, item, rule) for item in _items(name, value))
    return _check_value(name, value, rule)


def _items(name: str, value: Any) -> list[Any]:
    if not isinstance(value, str):
        return list(value) if hasattr(value, "__iter__") else [value]
    parts = value.split()
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"{name} {value!r} is not epochs separated by spaces, like '60 110'")
    return [int(part) for part in parts]


def _check_value(name: str, value: Any, rule: Mapping[str, Any]) -> Any:
    kind = rule["kind"]
    if kind is str:
        if "choices" in rule and value not in rule["choices"]:
            known = list(rule["choices"])
            raise InputError(f"unknown {name} {str(value)!r}{suggestion(value, known)}")
        if value is None:
            raise InputError(f"{name} must be given, but got None")
        return str(rule["parse"](value) if "parse" in rule else value)
    if isinstance(value, bool) or not isinstance(value, SupportsFloat):
        raise InputError(f"{name} must be a number, but got {value!r}")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise InputError(f"{name} must be less than 2**63, but has {len(str(value))} digits")
    try:
        value = value if isinstance(value, int) else float(value)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{name} must be a finite number, but got {value!r}")
    if kind is int and value != int(value):
        raise InputError(f"{name} must be a whole number, but got {value!r}")
    if "least" in rule and value < rule["least"]:
        raise InputError(f"{name} must be at least {rule['least']}, but got {value!r}")
    if "above" in rule and value <= rule["above"]:
        raise InputError(f"{name} must be greater than {rule['above']}, but got {value!r}")
    return kind(value)
