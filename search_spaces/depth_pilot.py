"""Does depth pay on Fashion-MNIST? Vanilla 2-2-2 and 8-8-8 at three learning rates, five seeds.

10 epochs of 625 steps, with one epoch of warm-up. Run it with --plugin examples/halved.py --dataset
halved --train-size 20000 --scheduler none; --lr 0.1 runs one learning rate alone. The result is in
docs/results/depth_pilot.md.
"""

from ray import tune

param_space = {
    "policy": "none",
    "network": "basic3resnet",
    "lr": tune.grid_search([0.1, 0.05, 0.2]),
    "seed": tune.grid_search([0, 1, 2, 3, 4]),
    "architecture": tune.grid_search(["8-8-8", "2-2-2"]),
    "epochs": 10,
    "batch_size": 32,
    "lr_schedule": "cosine",
    "warmup": 1,
}
