"""Late growth under cosine and under WSD: a GPT jumps from one block to four (Bu 2025).

Beside the trials that grow at 0.2, 0.5 and 0.8 of 1,000 steps are static networks: of four blocks
at equal steps, at as many FLOPs as each of the growing trials (0.86, 0.65 and 0.44 of the steps),
and of one block. The learning rate is the best of 0.002, 0.004 and 0.008 for the static network of
four blocks under both schedules. Run it with --dataset bible --scheduler none --cost flops;
analysis/late_growth.py makes the tables.
"""

from ray import tune

EPOCHS = 20
SHARES = (0.2, 0.5, 0.8)
OF_FOUR = 0.3
"""The FLOPs of a step with one block, as a share of those with four."""

all_ = {
    "task": "language",
    "optimizer": "adamw",
    "width": 64,
    "steps_an_epoch": 50,
    "lr": 8e-3,
    "final_lr": 0.0,
    "lr_schedule": tune.grid_search(["cosine", "wsd"]),
    "warmup": 1,
    "seed": tune.grid_search([0, 1, 2]),
}
static = {**all_, "policy": "none"}

param_space = [
    {
        **all_,
        "policy": "fixed",
        "epochs": EPOCHS,
        "architecture": "1",
        "growth_epochs": tune.grid_search(list(SHARES)),
        "growth_architectures": "4",
        "initializer": tune.grid_search(["copy", "zero", "default"]),
    },
    {**static, "epochs": EPOCHS, "architecture": tune.grid_search(["1", "4"])},
    {
        **static,
        "architecture": "4",
        "epochs": tune.grid_search([round(EPOCHS * (s * OF_FOUR + 1 - s)) for s in SHARES]),
    },
]
