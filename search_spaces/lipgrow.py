"""LipGrow: varies how far the Lipschitz constant may rise before growth, and the first depth.

The values suit small data sets and short runs, such as --dataset digits. For CIFAR, the paper
trains 164 epochs at lr 0.5 with a window of 10, a reserve of 30, and rtol 1.4.
"""

from ray import tune

param_space = {
    "network": "basic3resnet",
    "architecture": tune.choice(["2-2-2", "4-4-4"]),
    "max_architecture": "8-8-8",
    "policy": "lipschitz",
    "rtol": tune.uniform(1.0, 1.2),
    "window": tune.choice([1, 2, 3]),
    "reserve": tune.randint(4, 13),
    "scaling": tune.choice(["paper", "step-size"]),
    "epochs": 30,
    "lr": 0.1,
}
