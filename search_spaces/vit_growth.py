"""How to grow a vision transformer: in one jump, by doublings or block by block, and from where.

All networks end with four blocks, but for the static ones, which show what growth is compared with.
Some begin without any block, with a linear map of patches whose mean is classified. It suits the
digits, and by --dataset fashion-mnist or --dataset folder --data-dir DIR other images.
"""

from ray import tune

all_ = {
    "task": "vision-transformer",
    "epochs": 40,
    "lr": tune.choice([1e-3, 2e-3, 3e-3]),
    "warmup": 2,
    "lr_schedule": tune.choice(["cosine", "wsd"]),
}
grows = {
    **all_,
    "policy": "fixed",
    "architecture": "1",
    "initializer": tune.choice(["copy", "zero", "default", "clone"]),
}

param_space = [
    {  # one jump
        **grows,
        "growth_epochs": tune.choice([[0.2], [0.4], [0.6], [0.8]]),
        "growth_architectures": "4",
    },
    {  # doublings
        **grows,
        "growth_epochs": tune.choice([[0.2, 0.4], [0.3, 0.6], [0.4, 0.8]]),
        "growth_architectures": "2 4",
    },
    {  # from no block, which there is none to copy of
        **grows,
        "architecture": "0",
        "initializer": tune.choice(["zero", "default"]),
        "growth_epochs": tune.choice([[0.1, 0.4, 0.7], [0.05, 0.2, 0.4]]),
        "growth_architectures": "1 2 4",
    },
    {  # no growth
        **all_,
        "policy": "none",
        "architecture": tune.choice(["1", "2", "4"]),
    },
]
