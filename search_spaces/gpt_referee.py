"""The referee study: when, where, how far and with which new weights should a GPT grow?

Each claim that is contested is a dimension of its own: one jump, doublings or one block more each
time; copied, zero, default or cloned blocks; optimizer state carried or reset; cosine or WSD. All
growing networks end with four blocks of width 16 after 2,000 steps. Beside them are static
networks: of one to four blocks at equal steps, and of four blocks at fewer steps. There are 424
schedules and three seeds. Run it with --dataset bible --scheduler none --metric val_loss;
analysis/referee.py makes the tables (docs/results/referee.md).
"""

from ray import tune

all_ = {
    "task": "language",
    "width": 16,
    "heads": 1,
    "batch_size": 16,
    "lr": 0.04,
    "final_lr": 0.0,
    "lr_schedule": tune.grid_search(["cosine", "wsd"]),
    "warmup": 1,
    "seed": tune.grid_search([0, 1, 2]),
}
grows = {
    **all_,
    "policy": "fixed",
    "architecture": "1",
    "momentum_on_growth": tune.grid_search(["carry", "reset"]),
}
anywhere = {
    "initializer": tune.grid_search(["copy", "zero", "default"]),
    "placement": tune.grid_search(["between", "end"]),
}
middle = {
    "initializer": tune.grid_search(["copy", "zero"]),
    "placement": "middle",
    "momentum_on_growth": "carry",
}
clones = {"initializer": "clone"}
one_jump = {
    "growth_epochs": tune.grid_search([[0.2], [0.35], [0.5], [0.65], [0.8]]),
    "growth_architectures": "4",
}
doublings = {
    "growth_epochs": tune.grid_search([[0.1, 0.2], [0.2, 0.4], [0.3, 0.6], [0.4, 0.8]]),
    "growth_architectures": "2 4",
}
one_more = {
    "growth_epochs": tune.grid_search([[0.1, 0.2, 0.3], [0.2, 0.4, 0.6], [0.25, 0.5, 0.75]]),
    "growth_architectures": "2 3 4",
}
static = {**all_, "policy": "none"}

param_space = [
    # from one block, every place is behind it
    {**grows, **one_jump, "initializer": tune.grid_search(["copy", "zero", "default", "clone"])},
    {**grows, **doublings, **anywhere},
    {**grows, **doublings, **clones},
    {**grows, **one_more, **anywhere},
    {**grows, **doublings, **middle},
    {**grows, **one_more, **middle},
    {**grows, **one_more, **clones},
    {  # from no block at all
        **grows,
        **one_jump,
        "architecture": "0",
        "initializer": tune.grid_search(["zero", "default"]),
    },
    {  # from half the depth
        **grows,
        **one_jump,
        **anywhere,
        "architecture": "2",
        "momentum_on_growth": "carry",
    },
    {**static, "architecture": tune.grid_search(["1", "2", "3", "4"])},
    {**static, "architecture": "4", "epochs": tune.grid_search([8, 10, 12, 14, 16, 18])},
]
