"""Trials beside the products: one option at a time, other data, resumed ones."""

from collections.abc import Iterator
from pathlib import Path

from data import PICTURES, TEXT
from products import POLICIES, SMALL, Config, Made, words

DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")

DIGITS: Config = {
    "train_size": 62, "batch_size": 32, "lr": 0.05, "epochs": 3, "precision": "float32",
    "compile": "off", "device": "cpu",
}  # fmt: skip
FIXED: Config = {
    "policy": "fixed", "architecture": "2-2-2", "growth_epochs": [1, 2],
    "growth_architectures": ["3-2-2", "4-3-4"],
}  # fmt: skip
LIPSCHITZ: Config = {
    "policy": "lipschitz", "architecture": "2-2-2", "max_architecture": "4-4-4", "epochs": 4,
    "rtol": 1.01, "window": 1, "reserve": 1,
}  # fmt: skip
PERIODIC: Config = {
    "policy": "periodic", "epochs": 8, "interval": 1, "patience": 2, "finetune_epochs": 3,
}  # fmt: skip
CONVERGENT: Config = {
    "policy": "convergent", "epochs": 8, "interval": 1, "tau": 20.0, "finetune_epochs": 3,
}  # fmt: skip
VANILLA: Config = {"policy": "none", "architecture": "1-1-1"}
GPT: Config = {
    "task": "language", "dataset": "text", "data_dir": TEXT, "width": 8, "heads": 2, "context": 16,
    "steps_an_epoch": 6, "eval_windows": 8, "batch_size": 4, "train_size": None, "lr": 0.003,
    "optimizer": "adamw", "policy": "fixed", "architecture": "2", "growth_epochs": [1, 2],
    "growth_architectures": ["3", "5"],
}  # fmt: skip
VIT: Config = {
    "task": "vision-transformer", "width": 8, "heads": 2, "patch": 4, "optimizer": "adamw",
    "lr": 0.003, "policy": "fixed", "architecture": "2", "growth_epochs": [1, 2],
    "growth_architectures": ["3", "5"],
}  # fmt: skip

ONE_OPTION: list[tuple[Config, Config]] = [
    *((FIXED, {"initializer": initializer, "placement": placement, "momentum_on_growth": momentum})
      for initializer in ("copy", "default", "zero", "uniform", "uniform-official", "gaussian",
                          "adam", "partial")
      for placement in ("between", "end") for momentum in ("reset", "carry")),
    *((FIXED, {"scaling": scaling, "momentum_on_growth": momentum})
      for scaling in ("paper", "paper-literal", "step-size") for momentum in ("reset", "carry")),
    *((LIPSCHITZ, {"scaling": scaling}) for scaling in ("paper-literal", "step-size")),
    *((FIXED, {"network": network, "scaling": scaling})
      for network in ("preact3resnet",) for scaling in ("paper", "paper-literal", "step-size")),
    *((FIXED, {"record_lipschitz": detail}) for detail in ("subnetworks", "blocks", "layers")),
    (VANILLA, {"record_lipschitz": "layers", "network": "plain3net"}),
    (VANILLA, {"record_lipschitz": "layers", "network": "bottleneck4resnet-imagenet",
               "architecture": "1-1-1-1"}),
    *((FIXED, {"bn_gamma_init": "uniform", "initializer": initializer})
      for initializer in ("clone", "default", "gaussian")),
    (VANILLA, {"bn_gamma_init": "uniform"}),
    *((FIXED, {"seed": seed}) for seed in (1, 2, 12345)),
    *((VANILLA, {"seed": seed, "train_size": 60}) for seed in (3, 4)),
    *((FIXED, {"weight_decay": decay}) for decay in (0.0, 1e-3)),
    *((FIXED, {"batch_size": size}) for size in (2, 7, 50, 100, 300)),
    *((FIXED, {"optimizer_changes": changes}) for changes in (
        ["1:lr=0.01"], ["1:weight_decay=0.01"], ["1:lr=0.2", "2:lr=0.02", "2:weight_decay=0.001"])),
    (PERIODIC, {"optimizer_changes": ["2:lr=0.01", "5:weight_decay=0.002"]}),
    (VANILLA, {"optimizer_changes": ["1:lr=0.01"], "lr_schedule": "step", "lr_epochs": [2]}),
    *((FIXED, {"train_fraction": part, "train_size": None}) for part in (0.05, 0.1)),
    *((PERIODIC, {"train_fraction": part, "train_size": None}) for part in (0.06, 0.4)),
    (CONVERGENT, {"train_fraction": 0.1, "train_size": None}),
    *((FIXED, {"train_size": size}) for size in (17, 33, 200)),
    *((FIXED, {"image_size": size}) for size in (8, 9, 12)),
    (VANILLA, {"image_size": 13, "network": "basic4resnet-imagenet", "architecture": "1-1-1-1"}),
    *((VANILLA, {"lr": lr}) for lr in (0.5, 0.0005, 50.0)),
    *((FIXED, {"lr_schedule": "cosine-restarts", "lr_epochs": epochs})
      for epochs in ([1], [1, 2])),
    *((LIPSCHITZ, {"baseline": "first-epoch", "policy": policy, "window": 2, "epochs": 6,
                   "rtol": rtol})
      for policy in ("lipschitz", "lipschitz-subnetworks") for rtol in (0.9, 1.01, 5.0)),
    *((LIPSCHITZ, {"reserve": 2, "epochs": 7, "rtol": rtol, "architecture": "2-2-2",
                   "max_architecture": "8-8-8"}) for rtol in (0.5, 3.0)),
    *((PERIODIC, {"tau": tau, "max_architecture": "2-1-2", "network": network})
      for tau in (0.05, 50.0) for network in ("basic3resnet", "plain3net")),
    *((PERIODIC, {"interval": 2, "patience": patience, "lr_schedule": schedule})
      for patience in (2, 3) for schedule in ("staircase", "constant")),
    *((CONVERGENT, {"tau": tau, "architecture": architecture, "initializer": initializer})
      for tau in (0.05, 100.0) for architecture in ("1-1-1", "2-1-2")
      for initializer in ("gaussian", "adam")),
    (FIXED, {"growth_epochs": [1], "growth_architectures": ["5-2-7"]}),
    (FIXED, {"growth_epochs": [1], "growth_architectures": ["5-2-7"], "initializer": "default"}),
    *((base, {"precision": "bfloat16", "network": network})
      for base in (VANILLA, FIXED, PERIODIC) for network in ("basic3resnet", "preact3resnet")),
    (VANILLA, {"precision": "bfloat16", "network": "basic4resnet", "architecture": "1-1-1-1"}),
    *((FIXED, {"initializer": "copy", "momentum_on_growth": "carry", "state_of_copies": state})
      for state in ("reset", "copy", "halve")),
    *((FIXED, {"lr_schedule": "wsd", "decay": decay, "decay_shape": shape, "final_lr": 0.1})
      for decay in (0.4, 0.8) for shape in ("linear", "cosine", "1-sqrt")),
    *((FIXED, {"lr_schedule": schedule, "warmup": 1})
      for schedule in ("linear", "wsd", "cosine", "constant")),
    *((FIXED, {"lr_schedule": "cosine", "lr_per": per}) for per in ("epoch", "step")),
    *((FIXED, {"optimizer": optimizer, "momentum_on_growth": momentum, "lr": 0.003} | more)
      for optimizer, more in (("sgd", {"momentum": 0.8, "nesterov": "on"}), ("adamw", {}),
                              ("adamw", {"beta1": 0.8, "beta2": 0.99, "eps": 1e-6}),
                              ("adamw", {"decay_on": "all", "weight_decay": 0.2}),
                              ("muon", {"ns_steps": 3}))
      for momentum in ("reset", "carry")),
    (FIXED, {"clip_norm": 0.1}),
    *((base, {"task": base["task"], "initializer": initializer, "optimizer": optimizer,
              "momentum_on_growth": "carry"})
      for base in (GPT, VIT) for initializer in ("clone", "copy", "default", "zero")
      for optimizer in ("sgd", "adamw", "muon")),
    *((GPT, {"positions": "rotary", "mlp": mlp, "embeddings": "tied", "tokens": "characters"})
      for mlp in ("gelu", "swiglu")),
    (VIT, {"pooling": "token", "mlp": "swiglu"}),
    (VANILLA, {"split": "paper"}),
    (VANILLA, {"train_size": 33}),
    (VANILLA, {"batch_size": 11, "train_size": 100}),
]  # fmt: skip
"""Trials on the digits: what they start from, and what is different. Digits have no published test
set, and one image left for the last batch is too few: the last three refuse something."""


def trials(with_compile: bool) -> Iterator[Made]:
    """Trials in Python, compiled ones only if they are asked for."""
    if with_compile:
        for config in (DIGITS | VANILLA, DIGITS | FIXED | {"growth_epochs": [1, 2]}):
            yield _train("compile", config, {"compile": "on"})
    yield from _other_data()
    for base, changed in ONE_OPTION:
        yield _train("option", DIGITS | base, changed)


def configurations() -> Made:
    """The configurations of ONE_OPTION, and some that leave nearly everything out."""
    found = {
        f"{base['policy']} {words(changed)}": given(DIGITS | base | changed)
        for base, changed in ONE_OPTION
    }
    for dataset in ("digits", "fashion-mnist", "cifar100", "tiny-imagenet", "imagenet"):
        for policy in POLICIES:
            config: Config = {"dataset": dataset, "policy": policy}
            found[words(config)] = config
    return "configs", "configs: details", {"configs": found}


def given(config: Config) -> Config:
    """Without the options that a difference has taken out."""
    return {name: value for name, value in config.items() if value is not None}


def _train(part: str, base: Config, changed: Config) -> Made:
    name = f"{part}: policy={base['policy']} {words(changed)}"
    return "train", name, {"config": given(base | changed)}


def _other_data() -> Iterator[Made]:
    small = SMALL | {"epochs": 2}
    for base in (VANILLA, FIXED | {"growth_epochs": [1], "growth_architectures": ["3-2-3"]}):
        for dataset in ("mnist", "fashion-mnist"):
            for split in ("paper", "autogrow-paper"):
                yield _train("data", small | base, {"dataset": dataset, "split": split})
    yield _train("data", small | VANILLA, {"train_size": None, "train_fraction": 0.4})
    yield _train("data", small | PERIODIC, {"dataset": "fashion-mnist", "epochs": 4})
    yield _train("data", small | VANILLA, {"split": "clean"})  # refused: too few images
    pictures = SMALL | VANILLA | {
        "dataset": "imagenet", "data_dir": PICTURES, "train_size": None, "batch_size": 4,
        "network": "plain4net-imagenet", "architecture": "1-1-1-1", "epochs": 2,
    }  # fmt: skip
    yield _train("data", pictures, {"split": "paper"})
    trained = given(pictures | {"data_dir": "decoded", "epochs": 1, "split": "paper"})
    decode = {"command": ["decode", PICTURES, "decoded"]}
    spec = {"trials": [decode, {"config": trained}], "later": []}
    yield "store", "data: decoded pictures", spec
    if DEBIAN_FASHION_MNIST.is_dir():
        for split in ("paper",):
            published = given(small | VANILLA | {
                "dataset": "fashion-mnist", "data_dir": None, "epochs": 1, "image_size": None,
            })  # fmt: skip
            yield _train("data", published, {"split": split, "train_size": 100})


def resumed() -> Iterator[Made]:
    """Trials that are saved after some epochs and go on from there."""
    ways: list[tuple[Config, Config]] = [
        (DIGITS | FIXED, {}), (DIGITS | FIXED, {"initializer": "adam"}),
        (DIGITS | FIXED, {"initializer": "partial", "momentum_on_growth": "carry"}),
        (DIGITS | FIXED, {"scaling": "step-size", "network": "preact3resnet"}),
        (DIGITS | LIPSCHITZ, {"record_lipschitz": "layers"}),
        (DIGITS | LIPSCHITZ, {"policy": "lipschitz-subnetworks"}),
        (DIGITS | PERIODIC, {"tau": 20.0}), (DIGITS | CONVERGENT, {}),
        (DIGITS | VANILLA, {"optimizer_changes": ["1:lr=0.01"], "network": "plain3net"}),
        (DIGITS | FIXED, {"lr_schedule": "wsd", "initializer": "copy", "optimizer": "adamw"}),
        (given(DIGITS | GPT), {"optimizer": "muon"}), (DIGITS | VIT, {"initializer": "copy"}),
    ]  # fmt: skip
    for base, changed in ways:
        for at in (1, 2) if base["epochs"] <= 4 else (1, 3, 6):
            _, name, spec = _train(f"resume after {at}", base, changed)
            yield "resume", name, spec | {"at": at}
