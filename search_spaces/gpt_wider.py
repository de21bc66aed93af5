"""Does growing win in a wider GPT, too? The longer trials of gpt_fresh_seeds.py at twice the width.

Jumps from one block to four copies after 10 and after 32 of 40 epochs under WSD, with 69 thousand
parameters in place of 22 thousand. Beside them are static networks that pay as much, up to 2 %
more, and all of it at two learning rates. Run it with --dataset bible --scheduler none --metric
val_loss; analysis/fresh_seeds.py makes the table (docs/results/fresh_seeds.md).
"""

from ray import tune

all_ = {
    "task": "language",
    "width": 32,
    "heads": 2,
    "batch_size": 16,
    "lr": tune.grid_search([0.02, 0.01]),
    "final_lr": 0.0,
    "lr_schedule": "wsd",
    "warmup": 1,
    "seed": tune.grid_search([0, 1, 2]),
}
grows = {
    **all_,
    "policy": "fixed",
    "architecture": "1",
    "growth_architectures": "4",
    "initializer": "copy",
    "epochs": 40,
}
static = {**all_, "policy": "none"}

param_space = [
    {**grows, "growth_epochs": tune.grid_search([[10], [32]])},
    {**static, "architecture": "1", "epochs": tune.grid_search([56, 100])},
    {**static, "architecture": "2", "epochs": tune.grid_search([34, 60])},
    {**static, "architecture": "4", "epochs": tune.grid_search([19, 34])},
]
