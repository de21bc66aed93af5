"""Network morphism: a converged network becomes a deeper one (AutoGrow's Table 2).

Run it with --dataset cifar10; --from-scratch gives the table's deltas.
"""

from ray import tune

T = 200  # epochs at each depth

morphism = {
    "policy": "fixed",
    "growth_epochs": [T],
    "epochs": 2 * T,
    "initializer": tune.grid_search(["zero", "adam"]),
    "placement": "end",
    "momentum_on_growth": "carry",
    "lr_schedule": "staircase",
    "lr": 0.1,
    "weight_decay": 5e-4,
}

param_space = [
    {**morphism, "architecture": "3-3-3", "growth_architectures": ["5-5-5"]},
    {**morphism, "architecture": "5-5-5", "growth_architectures": ["9-9-9"]},
    {
        **morphism,
        "network": "basic4resnet",
        "architecture": "1-1-1-1",
        "growth_architectures": ["2-2-2-2"],
    },
]
