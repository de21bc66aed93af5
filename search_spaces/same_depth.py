"""LipGrow compared with vanilla training at the same final depth, three seeds each.

A vanilla trial has the final depth from the start. Run it with --dataset fashion-mnist --train-size
5000.
"""

from ray import tune

both = {"network": "basic3resnet", "epochs": 30, "seed": tune.grid_search([0, 1, 2])}
lipgrow = {"policy": "lipschitz", "rtol": 1.2, "window": 3}

param_space = [
    {**both, "policy": "none", "architecture": "4-4-4"},
    {**both, **lipgrow, "architecture": "2-2-2", "max_architecture": "4-4-4"},
]
