"""Does LipGrow's trigger find a good time to grow a GPT? Beside it are doublings at fixed shares.

The Lipschitz constant of a block is that of its residual's Jacobian at validation samples. All
trials double one block twice; those that grow by LipGrow's rule keep at least two epochs for four
blocks. The rest of the setting is that of gpt_growth.py. Run it with --dataset bible --scheduler
none --metric val_loss; analysis/trigger.py makes the table.
"""

from ray import tune

all_ = {
    "task": "language",
    "epochs": 20,
    "width": 16,
    "heads": 1,
    "batch_size": 16,
    "lr": 0.04,
    "final_lr": 0.0,
    "lr_schedule": tune.grid_search(["cosine", "wsd"]),
    "warmup": 1,
    "architecture": "1",
    "initializer": tune.grid_search(["copy", "clone"]),
    "seed": tune.grid_search([0, 1, 2]),
}

param_space = [
    {
        **all_,
        "policy": "lipschitz",
        "lipschitz": "jacobian",
        "max_architecture": "4",
        "rtol": tune.grid_search([1.1, 1.2, 1.4, 2.0, 4.0]),
        "window": 1,
        "reserve": 2,
    },
    {
        **all_,
        "policy": "fixed",
        "growth_epochs": tune.grid_search(
            [[0.05, 0.1], [0.1, 0.2], [0.2, 0.4], [0.3, 0.6], [0.4, 0.8], [0.6, 0.9], [0.8, 0.9]]
        ),
        "growth_architectures": "2 4",
    },
]
