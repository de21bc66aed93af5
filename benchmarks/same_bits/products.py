"""Every policy with every initializer, schedule and network family."""

from collections.abc import Iterator
from itertools import product
from typing import Any

from data import IDX

Config = dict[str, Any]
Made = tuple[str, str, dict[str, Any]]
"""Kind, name and spec of a case; see matrix.Case."""

POLICIES: dict[str, Config] = {
    "none": {"epochs": 4},
    "fixed": {"epochs": 4, "growth_epochs": [1, 2]},
    "hand-tuned": {"epochs": 4},
    "lipschitz": {"epochs": 4, "rtol": 1.02, "window": 1, "reserve": 1},
    "lipschitz-subnetworks": {"epochs": 4, "rtol": 1.02, "window": 1, "reserve": 1},
    "periodic": {"epochs": 5, "interval": 1, "patience": 2, "tau": 1.0, "finetune_epochs": 2},
    "convergent": {"epochs": 5, "interval": 1, "tau": 99.0, "finetune_epochs": 2},
}
"""The policies, each with options for a trial that grows within a few epochs."""
INITIALIZERS = (
    "clone", "default", "zero", "uniform", "uniform-official", "gaussian", "adam", "partial"
)  # fmt: skip
SCHEDULES = ("adaptive-cosine", "cosine", "cosine-restarts", "step", "staircase", "constant")
THREE_STAGES = ("basic3resnet", "preact3resnet", "plain3net")
FOUR_STAGES = (
    "basic4resnet", "basic4resnet-imagenet", "bottleneck4resnet", "bottleneck4resnet-imagenet",
    "plain4net", "plain4net-imagenet",
)  # fmt: skip

SMALL: Config = {
    "dataset": "mnist", "data_dir": IDX, "split": "paper", "train_size": 48, "batch_size": 16,
    "lr": 0.05, "precision": "float32", "compile": "off", "device": "cpu",
}  # fmt: skip
"""Options that make a trial take little time."""


def four_stages() -> Iterator[Made]:
    """A third of the policies with initializers in each family; schedules change between them."""
    for i, network in enumerate(FOUR_STAGES):
        for j, (policy, initializer) in enumerate(product(POLICIES, INITIALIZERS)):
            # a third of them; a policy that never grows has no initializer
            if initializer != "clone" if policy == "none" else (i + j + j // len(INITIALIZERS)) % 3:
                continue
            schedule = SCHEDULES[(i + j) % len(SCHEDULES)]
            yield _trial("four-stage", policy, initializer, schedule, network)


def three_stages() -> Iterator[Made]:
    """Each policy with each initializer, each schedule and each family."""
    for choice in product(POLICIES, INITIALIZERS, SCHEDULES, THREE_STAGES):
        if choice[0] != "none" or choice[1] == "clone":
            yield _trial("product", *choice)


def _trial(part: str, policy: str, initializer: str, schedule: str, network: str) -> Made:
    config = combination(policy, initializer, schedule, network)
    shown = {name: config[name] for name in ("policy", "initializer", "lr_schedule", "network")
             if name in config}  # fmt: skip
    return "train", f"{part}: {words(shown)}", {"config": SMALL | config}


def combination(policy: str, initializer: str, schedule: str, network: str) -> Config:
    """Fields of a trial of that kind. A policy that never grows has no initializer."""
    stages = 4 if network in FOUR_STAGES else 3
    seed = [2 if initializer == "clone" else 1] * stages
    grown = [seed[0] + 1, *seed[1:]]
    deeper = [*grown[:-1], seed[-1] + 2]
    config = {"policy": policy, "lr_schedule": schedule, "network": network} | POLICIES[policy]
    config["architecture"] = depths(seed)
    if policy != "none":
        config["initializer"] = initializer
    if policy == "fixed":
        config["growth_architectures"] = [depths(grown), depths(deeper)]
    elif policy.startswith("lipschitz"):
        config["max_architecture"] = depths([2 * n for n in seed])
    elif schedule == "cosine-restarts":
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
