"""Shallow static networks for the horizons of gpt_horizons.py, trained for as many FLOPs.

A network of one block costs three eighths of one of four blocks per step, one of two blocks seven
twelfths. So both are trained over more epochs here: from the FLOPs of the cheapest trial of
gpt_horizons.py up to those of four blocks over 80 epochs. All else is as there, so that the trunk
is trained once. analysis/horizons.py reads both studies.
"""

from ray import tune

all_ = {
    "task": "language",
    "width": 16,
    "heads": 1,
    "batch_size": 16,
    "lr": 0.04,
    "final_lr": 0.0,
    "lr_schedule": "wsd",
    "warmup": 1,
    "decay": 0.1,
    "seed": tune.grid_search([0, 1, 2]),
    "policy": "none",
}

param_space = [
    {**all_, "architecture": "1", "epochs": tune.grid_search([26, 53, 80, 107, 160, 214])},
    {**all_, "architecture": "2", "epochs": tune.grid_search([17, 34, 51, 69, 103, 138])},
]
