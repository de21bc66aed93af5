"""Does LipGrow's trigger find a good time to grow a vision transformer? As gpt_trigger.py.

Run it with --dataset fashion-mnist --scheduler none --cost flops --metric val_loss.
"""

from ray import tune

all_ = {
    "task": "vision-transformer",
    "train_size": 4000,
    "patch": 7,
    "width": 32,
    "heads": 2,
    "epochs": 20,
    "lr": 3e-3,
    "warmup": 1,
    "final_lr": 0.0,
    "lr_schedule": tune.grid_search(["cosine", "wsd"]),
    "architecture": "1",
    "initializer": tune.grid_search(["copy", "clone"]),
    "seed": tune.grid_search([0, 1, 2]),
}

param_space = [
    {
        **all_,
        "policy": "lipschitz",
        "lipschitz": "jacobian",
        "max_architecture": "4",
        "rtol": tune.grid_search([1.1, 1.2, 1.4, 2.0, 4.0]),
        "window": 1,
        "reserve": 2,
    },
    {
        **all_,
        "policy": "fixed",
        "growth_epochs": tune.grid_search(
            [[0.05, 0.1], [0.1, 0.2], [0.2, 0.4], [0.3, 0.6], [0.4, 0.8], [0.6, 0.9], [0.8, 0.9]]
        ),
        "growth_architectures": "2 4",
    },
]
