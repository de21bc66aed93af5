"""Trials over one epoch store, and twins from scratch, by the command line."""

from collections.abc import Iterator

from details import CONVERGENT, DIGITS, FIXED, LIPSCHITZ, PERIODIC, VANILLA
from products import Config, Made


def cases() -> Iterator[Made]:
    """Kind, name and spec of each; see matrix.Case."""
    constant = DIGITS | {"lr_schedule": "constant"}
    fixed = constant | FIXED
    short = constant | VANILLA | {"epochs": 2}
    yield _store(
        "shared: same growths, then others",
        [{"config": fixed | {"epochs": 4}}, {"config": fixed | {"epochs": 4, "growth_architectures":
         ["3-2-2", "3-3-3"]}}, {"config": constant | VANILLA | {"architecture": "2-2-2"}}],
        [{"config": fixed | {"epochs": 5}}, {"config": fixed | {"growth_epochs": [1, 3], "epochs": 4}},
         {"config": fixed | {"growth_epochs": [2], "growth_architectures": ["4-4-4"]}}],
    )  # fmt: skip
    yield _store(
        "shared: longer trials go on from shorter ones",
        [{"config": short}, {"config": short | {"epochs": 4}}, {"config": short | {"epochs": 3}}],
        [{"config": short | {"epochs": 5}}, {"config": short | {"epochs": 4, "policy": "fixed",
          "growth_epochs": [3], "growth_architectures": ["2-1-1"], "initializer": "zero"}}],
    )  # fmt: skip
    yield _store(
        "shared: other details of Lipschitz constants",
        [{"config": fixed | {"record_lipschitz": detail}} for detail in
         ("layers", "subnetworks", "blocks")],
        [{"config": fixed | {"record_lipschitz": "layers", "epochs": 4}}],
    )  # fmt: skip
    yield _store(
        "shared: other policies with the same growths",
        [{"config": DIGITS | LIPSCHITZ | {"rtol": 0.1}}, {"config": DIGITS | LIPSCHITZ | {"rtol": 9.0}},
         {"config": DIGITS | VANILLA | {"architecture": "2-2-2", "epochs": 4}}],
        [{"config": DIGITS | FIXED | {"growth_epochs": [3], "growth_architectures": ["4-4-4"],
                                      "epochs": 4}},
         {"config": DIGITS | LIPSCHITZ | {"policy": "lipschitz-subnetworks"}}],
    )  # fmt: skip
    for initializer in ("default", "zero", "gaussian", "adam", "partial"):
        grown = fixed | {"initializer": initializer, "placement": "end", "epochs": 3}
        yield _store(
            f"shared: initializer={initializer}",
            [{"config": grown}, {"config": grown | {"placement": "between"}},
             {"config": grown | {"momentum_on_growth": "carry"}}],
            [{"config": grown | {"epochs": 4}}],
        )  # fmt: skip
    for kept in ("all", "forks", "last"):
        yield _store(
            f"shared: keep-states {kept}",
            [{"config": fixed, "options": ["--keep-states", kept]}],
            [{"config": fixed | {"epochs": 4}, "options": ["--keep-states", kept]},
             {"config": fixed | {"growth_epochs": [1], "growth_architectures": ["2-2-4"]}}],
        )  # fmt: skip
    yield _store(
        "shared: states collected",
        [{"config": fixed, "options": ["--keep-states", "all"]},
         {"command": ["store", "gc", "store", "--state-megabytes", "4"]}],
        [{"config": fixed | {"epochs": 4}}],
    )  # fmt: skip
    saving = ["--save-every", "1"]
    for rewind in (1, 2):
        for stored in (True, False):
            yield _store(
                f"shared: interrupted after {rewind} {'with' if stored else 'beside'} the store",
                [{"config": fixed, "options": saving, "rewind": rewind, "stored": stored},
                 {"config": short}],
                [{"config": fixed | {"epochs": 4}, "options": saving, "rewind": rewind}],
            )  # fmt: skip
    for policy in (PERIODIC, CONVERGENT):
        yield _twins(f"twins: policy={policy['policy']}", DIGITS | policy)
        yield _twins(
            f"twins: policy={policy['policy']} network=plain3net", DIGITS | policy | {
                "network": "plain3net", "bn_gamma_init": "uniform", "weight_decay": 1e-3, "seed": 5,
                "record_lipschitz": "blocks",
            }
        )  # fmt: skip
    yield _store(
        "twins: policy=fixed",
        [{"config": DIGITS | FIXED},
         {"config": DIGITS | VANILLA | {"architecture": "4-3-4"}, "stored": False}],
        [],
    )  # fmt: skip


def _twins(name: str, config: Config) -> Made:
    """An AutoGrow trial, and the network that it has found from scratch."""
    same = (
        "network", "bn_gamma_init", "weight_decay", "seed", "record_lipschitz", "train_size",
        "batch_size", "lr", "precision", "compile", "device",
    )  # fmt: skip
    twin: Config = {name: config[name] for name in same if name in config}
    # AutoGrow's weight decay is the twin's too
    twin = {"weight_decay": 5e-4} | twin
    twin |= {"policy": "none", "lr_schedule": "staircase", "epochs": config["finetune_epochs"]}
    return _store(
        name,
        [{"config": config}, {"config": twin, "architecture_of": 0}],
        [{"config": config | {"tau": 60.0}}],
    )


def _store(name: str, trials: list[Config], later: list[Config]) -> Made:
    return "store", name, {"trials": trials, "later": later}
