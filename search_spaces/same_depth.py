"""LipGrow against vanilla at the same final depth, three seeds each.

For --dataset fashion-mnist --train-size 5000; a vanilla trial has the final depth from the start.
"""

from ray import tune


def by_policy(lipschitz, none):
    return tune.sample_from(lambda spec: {"lipschitz": lipschitz, "none": none}[spec.config.policy])


param_space = {
    "network": "basic3resnet",
    "policy": tune.grid_search(["none", "lipschitz"]),
    "architecture": by_policy(lipschitz="2-2-2", none="4-4-4"),
    "max_architecture": by_policy(lipschitz="4-4-4", none=None),
    "rtol": by_policy(lipschitz=1.2, none=None),
    "window": by_policy(lipschitz=3, none=None),
    "epochs": 30,
    "seed": tune.grid_search([0, 1, 2]),
}
