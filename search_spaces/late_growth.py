"""Late growth under cosine and under WSD: a GPT jumps from one block to four (Bu 2025).

Beside the trials that grow at 0.2, 0.5 and 0.8 of 2,000 steps are static networks: of four blocks
at equal steps, at as many FLOPs as each of the growing trials, and of one block. The learning rate
is the best of 0.005, 0.01, 0.02, 0.04 and 0.08 for the static network of four blocks under both
schedules. Run it with --dataset bible --scheduler none --metric val_loss;
analysis/late_growth.py makes the tables.
"""

from ray import tune

EPOCHS = 20
SHARES = (0.2, 0.5, 0.8)
OF_FOUR = 0.375
"""The FLOPs of a step with one block, as a share of those with four."""

all_ = {
    "task": "language",
    "optimizer": "adamw",
    "width": 16,
    "heads": 1,
    "batch_size": 16,
    "lr": 0.04,
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
