"""AutoGrow: varies the interval between growths, the new weights, and the rule that ends growth.

The values suit small data sets and short runs, such as --dataset digits. For CIFAR, the paper grows
every 3 epochs at lr 0.1 until accuracy has risen by less than 0.05 points in 100 epochs, then
fine-tunes for 200 epochs.
"""

from ray import tune

param_space = {
    "network": "basic3resnet",
    "architecture": tune.choice(["1-1-1", "2-2-2"]),
    "policy": "periodic",
    "interval": tune.choice([1, 2, 3, 5]),
    "patience": tune.randint(5, 16),
    "tau": tune.loguniform(0.05, 1.0),
    "initializer": tune.choice(["zero", "adam", "uniform", "gaussian"]),
    "lr_schedule": tune.choice(["constant", "staircase"]),
    "finetune_epochs": 20,
    "epochs": 60,
}
