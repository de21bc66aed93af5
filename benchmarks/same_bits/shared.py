"""Trials over one epoch store, and twins from scratch, by the command line."""

from collections.abc import Iterator
from typing import Any

from details import CONVERGENT, DIGITS, FIXED, LIPSCHITZ, PERIODIC, VANILLA
from products import Config, Made

Step = dict[str, Any]
"""A `config` to train, or a `command`; see the worker's _step."""

CONSTANT = DIGITS | {"lr_schedule": "constant"}
GROWN = CONSTANT | FIXED
SHORT = CONSTANT | VANILLA | {"epochs": 2}
LONGER = {"epochs": 4}


def cases() -> Iterator[Made]:
    """Kind, name and spec of each; see matrix.Case."""
    for name, trials, later in (*_alike(), *_initialized(), *_kept(), *_interrupted()):
        yield "store", f"shared: {name}", {"trials": trials, "later": later}
    for name, trials, later in _twins():
        yield "store", f"twins: {name}", {"trials": trials, "later": later}


Shared = tuple[str, list[Step], list[Step]]
"""What it is about, the trials over one store, and the later ones over what these have left."""


def _trial(base: Config, changed: Config | None = None, **step: Any) -> Step:
    return {"config": base | (changed or {}), **step}


def _alike() -> Iterator[Shared]:
    """Trials that are alike for some epochs."""
    target = "growth_architectures"
    yield (
        "same growths, then others",
        [
            _trial(GROWN, LONGER),
            _trial(GROWN, LONGER | {target: ["3-2-2", "3-3-3"]}),
            _trial(CONSTANT, VANILLA | {"architecture": "2-2-2"}),
        ],
        [
            _trial(GROWN, {"epochs": 5}),
            _trial(GROWN, LONGER | {"growth_epochs": [1, 3]}),
            _trial(GROWN, {"growth_epochs": [2], target: ["4-4-4"]}),
        ],
    )
    grown = LONGER | {"policy": "fixed", "growth_epochs": [3], target: ["2-1-1"]}
    yield (
        "longer trials go on from shorter ones",
        [_trial(SHORT), _trial(SHORT, LONGER), _trial(SHORT, {"epochs": 3})],
        [_trial(SHORT, {"epochs": 5}), _trial(SHORT, grown | {"initializer": "zero"})],
    )
    yield (
        "other optimizer changes and seeds",
        [
            _trial(SHORT, LONGER),
            _trial(SHORT, LONGER | {"optimizer_changes": ["2:lr=0.01"]}),
            _trial(SHORT, LONGER | {"optimizer_changes": ["2:weight_decay=0.01"]}),
            _trial(SHORT, {"weight_decay": 0.01}),
            _trial(SHORT, {"seed": 1}),
            _trial(SHORT, {"batch_size": 31}),
            _trial(SHORT, {"bn_gamma_init": "uniform"}),
            _trial(SHORT, {"network": "preact3resnet"}),
            _trial(SHORT, {"precision": "bfloat16"}),
            _trial(SHORT, {"train_size": 101}),
        ],
        [_trial(SHORT, LONGER | {"optimizer_changes": ["2:lr=0.01", "3:lr=0.05"]})],
    )
    yield (
        "other details of Lipschitz constants",
        [_trial(GROWN, {"record_lipschitz": d}) for d in ("layers", "subnetworks", "blocks")],
        [_trial(GROWN, LONGER | {"record_lipschitz": "layers"})],
    )
    yield (
        "other policies with the same growths",
        [
            _trial(DIGITS, LIPSCHITZ | {"rtol": 0.1}),
            _trial(DIGITS, LIPSCHITZ | {"rtol": 9.0}),
            _trial(DIGITS, VANILLA | LONGER | {"architecture": "2-2-2"}),
        ],
        [
            _trial(DIGITS, FIXED | LONGER | {"growth_epochs": [3], target: ["4-4-4"]}),
            _trial(DIGITS, LIPSCHITZ | {"policy": "lipschitz-subnetworks"}),
        ],
    )


def _initialized() -> Iterator[Shared]:
    for initializer in ("default", "zero", "gaussian", "adam", "partial"):
        grown = GROWN | {"initializer": initializer, "placement": "end"}
        yield (
            f"initializer={initializer}",
            [
                _trial(grown),
                _trial(grown, {"placement": "between"}),
                _trial(grown, {"momentum_on_growth": "carry"}),
            ],
            [_trial(grown, LONGER)],
        )
    yield (
        "scaling",
        [_trial(GROWN, {"scaling": s}) for s in ("paper", "paper-literal", "step-size")],
        [_trial(GROWN, LONGER | {"scaling": "step-size"})],
    )


def _kept() -> Iterator[Shared]:
    """Which states stay in the store."""
    for kept in ("all", "forks", "last"):
        options = ["--keep-states", kept]
        yield (
            f"keep-states {kept}",
            [_trial(GROWN, options=options)],
            [
                _trial(GROWN, LONGER, options=options),
                _trial(GROWN, {"growth_epochs": [1], "growth_architectures": ["2-2-4"]}),
            ],
        )
    collect: Step = {"command": ["store", "gc", "store", "--state-megabytes", "4"]}
    yield (
        "states collected",
        [_trial(GROWN, options=["--keep-states", "all"]), collect],
        [_trial(GROWN, LONGER)],
    )


def _interrupted() -> Iterator[Shared]:
    """Trials that `growsearch resume` takes up again."""
    for epoch in (1, 2):
        saved: Step = {"options": ["--save-every", "1"], "rewind": epoch}
        for stored in (True, False):
            yield (
                f"interrupted after {epoch} {'with' if stored else 'beside'} the store",
                [_trial(GROWN, stored=stored, **saved), _trial(SHORT)],
                [_trial(GROWN, LONGER, **saved)],
            )


_SAME = (
    "network", "bn_gamma_init", "seed", "record_lipschitz", "train_size", "batch_size", "lr",
    "precision", "compile", "device",
)  # fmt: skip


def _twins() -> Iterator[Shared]:
    """Trials that grow, and the networks that they come to from scratch: the report finds them."""
    other = {
        "network": "plain3net", "bn_gamma_init": "uniform", "weight_decay": 1e-3, "seed": 5,
        "record_lipschitz": "blocks",
    }  # fmt: skip
    for changed in ({}, other):
        for autogrow in (PERIODIC, CONVERGENT):
            config = DIGITS | autogrow | changed
            twin = {name: config[name] for name in _SAME if name in config} | {
                "policy": "none", "lr_schedule": "staircase", "epochs": config["finetune_epochs"],
                "weight_decay": config.get("weight_decay", 5e-4),  # AutoGrow's default
            }  # fmt: skip
            yield (
                f"policy={config['policy']} network={config.get('network', 'basic3resnet')}",
                [_trial(config), _trial(twin, architecture_of=0)],
                [_trial(config, {"tau": 60.0})],
            )
    yield (
        "policy=fixed",
        [_trial(DIGITS, FIXED), _trial(DIGITS, VANILLA | {"architecture": "4-3-4"}, stored=False)],
        [],
    )
