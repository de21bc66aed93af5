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

DATASETS = ("digits", "fashion-mnist")
NETWORKS = {"basic3resnet": 3}
"""Network families and their number of sub-networks."""
POLICIES = {
    "none": (),
    "fixed": ("growth_epochs",),
    "lipschitz": ("rtol", "window", "reserve", "max_architecture"),
}
"""Growth policies and the fields that belong to each alone."""
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
    train_size: int | None = _option(
        None, int, "train on this many images, drawn class-balanced from --seed", least=1
    )
    network: str = _option("basic3resnet", str, "the network family", choices=tuple(NETWORKS))
    architecture: str = _option(
        "2-2-2", str, "blocks per sub-network to start from", parse=Architecture
    )
    policy: str = _option(
        "lipschitz", str, "when the network grows: never, at given epochs, or when its Lipschitz "
        "constant has risen", choices=tuple(POLICIES),
    )  # fmt: skip
    growth_epochs: tuple[int, ...] | None = _option(
        None, int, "fixed: double the depth after these epochs", least=1, many=True
    )
    rtol: float | None = _option(
        None, float, "lipschitz: grow when the smoothed constant exceeds its baseline by this "
        "factor", above=0, default=1.4,
    )  # fmt: skip
    window: int | None = _option(
        None, int, "lipschitz: epochs that the constant is averaged over", least=1, default=10
    )
    reserve: int | None = _option(
        None, int, "lipschitz: epochs kept for the final depth, whose growth is forced if need be",
        least=1, default="30 of 164 epochs, in that proportion",
    )  # fmt: skip
    max_architecture: str | None = _option(
        None, str, "lipschitz: the final depth, reached by doubling",
        parse=Architecture, default="the seed doubled twice",
    )  # fmt: skip
    epochs: int = _option(164, int, "epochs in all", least=1)
    batch_size: int = _option(128, int, "images a training step", least=2)
    lr: float = _option(0.5, float, "the largest learning rate", above=0)
    weight_decay: float = _option(2e-4, float, "L2 penalty on all parameters", least=0)
    seed: int = _option(0, int, "source of every random draw", least=0)
    device: str = _option("auto", str, "auto takes the GPU where there is one", choices=DEVICES)

    def __post_init__(self) -> None:
        for name in field_names():
            self._set(name, check_field(name, getattr(self, name)))
        self._check_sub_networks("architecture")
        for policy, names in POLICIES.items():
            for name in names:
                if policy != self.policy and getattr(self, name) is not None:
                    raise InputError(
                        f"{name}={getattr(self, name)!r} belongs to policy {policy!r}, but policy "
                        f"is {self.policy!r}; leave {name} out or choose policy {policy!r}"
                    )
        if self.policy != "none":
            self._check_clonable()
        if self.policy == "fixed":
            self._check_growth_epochs()
        if self.policy == "lipschitz":
            self._complete_lipschitz()

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

    def _check_clonable(self) -> None:
        blocks = Architecture(self.architecture).blocks
        if min(blocks) < 2:
            smallest = Architecture(max(n, 2) for n in blocks)
            raise InputError(
                f"architecture {self.architecture!r} cannot grow by cloning: the first block of a "
                f"sub-network is never cloned, so each needs a second; start from {smallest} or "
                "choose policy 'none'"
            )

    def _check_growth_epochs(self) -> None:
        given = self.growth_epochs
        if not given:
            raise InputError("policy 'fixed' needs growth_epochs: give one or more, like 60 110")
        if list(given) != sorted(set(given)) or given[-1] >= self.epochs:
            raise InputError(
                f"growth_epochs {' '.join(map(str, given))} must rise and end before the last of "
                f"epochs={self.epochs}: a network grows after an epoch and trains on"
            )

    def _complete_lipschitz(self) -> None:
        seed = Architecture(self.architecture)
        if self.rtol is None:
            self._set("rtol", 1.4)
        if self.window is None:
            self._set("window", 10)
        if self.reserve is None:
            self._set("reserve", max(round(self.epochs * 30 / 164), 1))
        if self.max_architecture is None:
            self._set("max_architecture", str(seed.doubled(2)))
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
        """Every field as a string, number or None; growth epochs become "60 110"."""
        flat = asdict(self)
        if self.growth_epochs is not None:
            flat["growth_epochs"] = " ".join(map(str, self.growth_epochs))
        return flat

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
    if not all(part.isdigit() for part in parts):
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
    if isinstance(value, bool) or not isinstance(value, SupportsFloat) or not math.isfinite(value):
        raise InputError(f"{name} must be a finite number, but got {value!r}")
    value = value if isinstance(value, int) else float(value)
    if kind is int and value != int(value):
        raise InputError(f"{name} must be a whole number, but got {value!r}")
    if "least" in rule and value < rule["least"]:
        raise InputError(f"{name} must be at least {rule['least']}, but got {value!r}")
    if "above" in rule and value <= rule["above"]:
        raise InputError(f"{name} must be greater than {rule['above']}, but got {value!r}")
    return kind(value)
