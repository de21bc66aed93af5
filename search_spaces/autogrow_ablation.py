"""AutoGrow's ablations of convergent growth, K, initializer and seed network (Tables 3 to 6).

Run it with --dataset cifar10 or cifar100; --from-scratch gives the tables' deltas. A row that is in
two tables is here once. A small version: --dataset digits --epochs 12 --finetune-epochs 4.
"""

from ray import tune

convergent = {"policy": "convergent", "interval": 100}
periodic = {"policy": "periodic", "patience": 100}

param_space = [
    {  # Table 3
        **convergent,
        "lr_schedule": "staircase",
        "initializer": tune.grid_search(["zero", "adam"]),
    },
    {
        **convergent,
        "lr_schedule": "constant",
        "initializer": tune.grid_search(["zero", "adam", "uniform", "gaussian"]),
    },
    {  # Table 4
        **periodic,
        "interval": tune.grid_search([50, 20, 10, 5, 3, 1]),
    },
    {  # Table 5
        **periodic,
        "interval": 3,
        "initializer": tune.grid_search(["zero", "adam", "uniform"]),
    },
    {  # Table 6
        **periodic,
        "interval": 3,
        "architecture": "5-5-5",
    },
    {
        **periodic,
        "interval": 3,
        "network": "basic4resnet",
        "architecture": tune.grid_search(["1-1-1-1", "5-5-5-5"]),
    },
]
