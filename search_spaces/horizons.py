"""A learning rate that is constant until its decay (WSD), at four horizons.

Trials that differ in their epochs alone share all epochs before the decay: 92 of the 200 epochs are
distinct. `growsearch resume RUN --extend-horizon 160` goes on to a longer horizon.
"""

from ray import tune

param_space = {
    "architecture": "2-2-2",
    "policy": "fixed",
    "growth_epochs": [10],
    "epochs": tune.grid_search([20, 40, 60, 80]),
    "lr": 0.1,
    "lr_schedule": "wsd",
    "warmup": 1,
    "decay": 0.1,
}
