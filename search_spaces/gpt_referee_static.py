"""Static networks of the referee study that pay as much as growing ones: shallow and longer.

A network of one block costs three eighths of one of four blocks per step. So static networks of one
to three blocks are trained for more steps here, up to the cost of four blocks for 2,000 steps, each
with a learning-rate schedule of its own. All else is as in gpt_referee.py. Run it with --dataset
bible --scheduler none --metric val_loss; analysis/referee.py reads both studies.
"""

from ray import tune

all_ = {
    "task": "language",
    "width": 16,
    "heads": 1,
    "batch_size": 16,
    "lr": 0.04,
    "final_lr": 0.0,
    "lr_schedule": tune.grid_search(["cosine", "wsd"]),
    "warmup": 1,
    "seed": tune.grid_search([0, 1, 2]),
    "policy": "none",
}

param_space = [
    {**all_, "architecture": "1", "epochs": tune.grid_search([27, 36, 48, 53])},
    {**all_, "architecture": "2", "epochs": tune.grid_search([24, 31, 34])},
    {**all_, "architecture": "3", "epochs": tune.grid_search([23, 25])},
]
