"""Every policy with every initializer, schedule and network family."""

from collections.abc import Iterator
from itertools import cycle, product
from typing import Any

from data import IDX

Config = dict[str, Any]
Made = tuple[str, str, dict[str, Any]]
"""Kind, name and spec of a case; see matrix.Case."""

POLICIES: dict[str, Config] = {
    "none": {"epochs": 3},
    "fixed": {"epochs": 3, "growth_epochs": [1, 2]},
    "hand-tuned": {"epochs": 3},
    "lipschitz": {"epochs": 4, "rtol": 1.02, "window": 1, "reserve": 1},
    "lipschitz-subnetworks": {"epochs": 4, "rtol": 1.02, "window": 1, "reserve": 1},
    "periodic": {"epochs": 4, "interval": 1, "patience": 2, "tau": 1.0, "finetune_epochs": 1},
    "convergent": {"epochs": 4, "interval": 1, "tau": 99.0, "finetune_epochs": 1},
}
"""The policies, each with options for a trial that grows within a few epochs."""
INITIALIZERS = (
    "clone", "copy", "default", "zero", "uniform", "uniform-official", "gaussian", "adam",
    "partial",
)  # fmt: skip
SCHEDULES = (
    "adaptive-cosine", "cosine", "cosine-restarts", "step", "staircase", "constant", "linear", "wsd"
)  # fmt: skip
THREE_STAGES = ("basic3resnet", "preact3resnet", "plain3net")
FOUR_STAGES = (
    "basic4resnet", "basic4resnet-imagenet", "bottleneck4resnet", "bottleneck4resnet-imagenet",
    "plain4net", "plain4net-imagenet",
)  # fmt: skip

SMALL: Config = {
    "dataset": "mnist", "data_dir": IDX, "split": "paper", "train_size": 32, "batch_size": 16,
    "lr": 0.05, "precision": "float32", "compile": "off", "device": "cpu",
}  # fmt: skip
"""Options that make a trial take little time."""
FEW = SMALL | {"train_size": 16, "batch_size": 8}
"""For four sub-networks, which are wide."""
GROW_FAR = ("hand-tuned", "lipschitz", "periodic", "convergent")


def trials(full: bool) -> Iterator[Made]:
    """Each policy with each initializer and schedule: in three sub-networks each in one family,
    or in all if `full`. Four sub-networks cost more: each policy once in every other family, or in
    all if `full`, and policies that grow far do not begin with the two blocks that clone and copy
    need.
    """
    for i, (network, policy) in enumerate(product(FOUR_STAGES, POLICIES)):
        if i % 2 and not full:
            continue
        initializer = INITIALIZERS[i % len(INITIALIZERS)]
        schedule = SCHEDULES[i * 5 % len(SCHEDULES)]
        if not _is_allowed(policy, initializer, schedule, network):
            initializer, schedule = "default", "step"
        if policy in GROW_FAR and initializer in ("clone", "copy"):
            initializer = "zero"
        config = combination(policy, initializer, schedule, network)
        yield _trial("four-stage", FEW | config)
    turns = cycle(THREE_STAGES)
    for policy, initializer, schedule in product(POLICIES, INITIALIZERS, SCHEDULES):
        if policy == "none" and initializer != "clone":
            continue  # a policy that never grows has no initializer
        for network in THREE_STAGES if full else [next(turns)]:
            yield _trial("product", SMALL | combination(policy, initializer, schedule, network))


def _is_allowed(policy: str, initializer: str, schedule: str, network: str) -> bool:
    clones_plain = initializer == "clone" and network.startswith("plain")
    return not (clones_plain or (schedule == "staircase" and policy.startswith("lipschitz")))


def _trial(part: str, config: Config) -> Made:
    shown = {name: config[name] for name in ("policy", "initializer", "lr_schedule", "network")
             if name in config}  # fmt: skip
    return "train", f"{part}: {words(shown)}", {"config": config}


def combination(policy: str, initializer: str, schedule: str, network: str) -> Config:
    """Fields of a trial of that kind."""
    stages = 4 if network in FOUR_STAGES else 3
    seed = [2 if initializer in ("clone", "copy") else 1] * stages
    grown = [seed[0] + 1, *seed[1:]]
    deeper = [*grown[:-1], seed[-1] + 2]
    config = {"policy": policy, "lr_schedule": schedule, "network": network} | POLICIES[policy]
    config["architecture"] = depths(seed)
    if policy != "none":
        config["initializer"] = initializer
    if policy == "fixed":
        config["growth_architectures"] = [depths(grown), depths(deeper)]
    if policy.startswith("lipschitz"):
        config["max_architecture"] = depths([2 * n for n in seed])
    if schedule == "cosine-restarts" and policy not in ("fixed", "hand-tuned"):
        config["lr_epochs"] = [2]
    return config


def depths(blocks: list[int]) -> str:
    return "-".join(map(str, blocks))


def words(fields: Config) -> str:
    """Like "policy=none seed=1"."""
    lists = {name: v if isinstance(v, list) else [v] for name, v in fields.items()}
    return " ".join(f"{name}={' '.join(map(str, values))}" for name, values in lists.items())


def configurations() -> Iterator[Made]:
    """What a fresh configuration accepts and fills in, for each combination; none is trained."""
    for network in (*THREE_STAGES, *FOUR_STAGES):
        found = {}
        for policy, initializer, schedule in product(POLICIES, INITIALIZERS, SCHEDULES):
            config = combination(policy, initializer, schedule, network)
            name = words({"policy": policy, "initializer": initializer, "lr_schedule": schedule})
            found[name] = config
            left = ("policy", "network", "lr_schedule", "initializer", "growth_epochs")
            found[f"{name} by default"] = {n: v for n, v in config.items() if n in left}
        yield "configs", f"configs: network={network}", {"configs": found}
