"""Does depth pay for the GPT of the referee study? One and four blocks that never grow, ten seeds.

2,000 steps at the learning rate of search_spaces/gpt_referee.py, under a cosine and under WSD. Run
it with --dataset bible --scheduler none --metric val_loss. The result is in
docs/results/late_growth.md.
"""

from ray import tune

param_space = {
    "task": "language",
    "policy": "none",
    "width": 16,
    "heads": 1,
    "batch_size": 16,
    "lr": 0.04,
    "final_lr": 0.0,
    "lr_schedule": tune.grid_search(["cosine", "wsd"]),
    "warmup": 1,
    "architecture": tune.grid_search(["4", "1"]),
    "seed": tune.grid_search(list(range(10))),
}
