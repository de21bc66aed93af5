"""Do the best growing schedules of a GPT win on seeds that have not chosen them?

Four schedules that other studies chose with seeds 0 to 2, on eight further seeds. Two are the best
of search_spaces/gpt_referee.py for 50 to 70 % of the FLOPs, by their mean validation loss: one jump
under a cosine, and doublings under WSD. Two are those of search_spaces/gpt_horizons.py over 40
epochs at a learning rate of 0.02. Beside each are static networks that pay as much, up to 5 % more.
Run it with --dataset bible --scheduler none --metric val_loss; analysis/fresh_seeds.py makes the
table (docs/results/fresh_seeds.md).
"""

from ray import tune

all_ = {
    "task": "language",
    "width": 16,
    "heads": 1,
    "batch_size": 16,
    "final_lr": 0.0,
    "warmup": 1,
    "seed": tune.grid_search(list(range(3, 11))),
}
grows = {**all_, "policy": "fixed", "architecture": "1"}
static = {**all_, "policy": "none"}
cosine = {"lr": 0.04, "lr_schedule": "cosine"}
wsd = {"lr": 0.04, "lr_schedule": "wsd"}
longer = {"lr": 0.02, "lr_schedule": "wsd"}
at_20 = [("1", 37), ("2", 24), ("3", 18), ("4", 14)]
"""Depths and epochs of as many FLOPs as a growing network over 20 epochs."""
at_40 = [("1", 90), ("1", 54), ("2", 58), ("2", 35), ("4", 34), ("4", 20)]
"""The same over 40 epochs, for both growths."""

param_space = [
    {**grows, **cosine, "initializer": "clone", "growth_epochs": [10],
     "growth_architectures": "4", "epochs": 20},
    {**grows, **wsd, "initializer": "clone", "growth_epochs": [6, 12],
     "growth_architectures": "2 4", "epochs": 20},
    {**grows, **longer, "initializer": "copy", "growth_architectures": "4", "epochs": 40,
     "growth_epochs": tune.grid_search([[10], [32]])},
    *({**static, **way, "architecture": depth, "epochs": epochs}
      for way, networks in ((cosine, at_20), (wsd, at_20), (longer, at_40))
      for depth, epochs in networks),
]  # fmt: skip
