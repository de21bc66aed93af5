"""How long should a GPT train? Four horizons under WSD, whose trials share all before the decay.

A static network, one that grows after ten epochs, and one that grows after 0.8 of each horizon. The
rest of the setting is that of gpt_growth.py. Of a horizon's share, the epochs before the growth are
in the trunk; those after it are not, since it comes at another epoch for each horizon.
"""

from ray import tune

all_ = {
    "task": "language",
    "epochs": tune.grid_search([20, 40, 60, 80]),
    "width": 16,
    "heads": 1,
    "batch_size": 16,
    "lr": 0.04,
    "final_lr": 0.0,
    "lr_schedule": "wsd",
    "warmup": 1,
    "decay": 0.1,
    "seed": tune.grid_search([0, 1, 2]),
}
grows = {
    **all_,
    "policy": "fixed",
    "architecture": "1",
    "growth_architectures": "4",
    "initializer": "copy",
}

param_space = [
    {**all_, "policy": "none", "architecture": "4"},
    {**grows, "growth_epochs": [10]},
    {**grows, "growth_epochs": [0.8]},
]
