"""Search spaces whose plans are counted: with known, partly known and unknown schedules."""

from itertools import combinations

from ray import tune

few = {"architecture": "2-2-2", "epochs": 20, "lr": 0.1}
pairs = [list(pair) for pair in combinations(range(2, 18, 4), 2)]

fixed = {**few, "policy": "fixed", "growth_epochs": tune.grid_search(pairs)}
apart = {**fixed, "initializer": tune.grid_search(["partial", "adam", "default", "clone"])}
lipgrow = {
    **few,
    "policy": "lipschitz",
    "rtol": tune.uniform(1.0, 1.2),
    "window": tune.choice([1, 2, 3]),
    "reserve": tune.randint(4, 9),
    "scaling": tune.choice(["paper", "step-size"]),
}
subnetworks = {**lipgrow, "policy": "lipschitz-subnetworks", "lr_schedule": "constant"}
autogrow = {
    "policy": tune.grid_search(["periodic", "convergent"]),
    "interval": tune.choice([1, 2, 3, 5]),
    "tau": tune.loguniform(0.05, 1.0),
    "initializer": tune.choice(["zero", "adam", "uniform", "gaussian"]),
    "lr_schedule": tune.choice(["constant", "staircase"]),
    "finetune_epochs": 10,
    "epochs": 40,
}
schedules = {
    **few,
    "policy": "none",
    "lr_schedule": tune.grid_search(["cosine", "adaptive-cosine", "step", "constant"]),
    "seed": tune.grid_search([0, 1]),
}
changes = {
    **few,
    "policy": "none",
    "lr_schedule": "constant",
    "optimizer_changes": tune.grid_search(["5:lr=0.05", "5:lr=0.01", "9:weight_decay=0.001"]),
}
mixed = [fixed, {**few, "policy": "hand-tuned"}, {**few, "policy": "none"}, lipgrow]
machine = {
    **few,
    "policy": "none",
    "precision": tune.grid_search(["float32", "bfloat16"]),
    "record_lipschitz": tune.grid_search(["blocks", "layers"]),
    "weight_decay": tune.grid_search([0.0, 2e-4]),
}
