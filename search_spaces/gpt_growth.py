"""How to grow a GPT: in one late jump, by doublings or block by block, and with which new weights.

All networks end with four blocks of width 128 after 2,000 steps (nanoGPT's setting for a CPU), but
for the static ones, which show what growth is compared with. A trial takes one to two minutes on
one core. Run it with --dataset bible, or with --data-dir text.txt; --cost flops takes the front of
training FLOPs.
"""

from ray import tune

EPOCHS = 20

all_ = {
    "task": "language",
    "epochs": EPOCHS,
    "steps_an_epoch": 100,
    "lr": 3e-3,
    "lr_schedule": tune.choice(["cosine", "constant"]),
}
grows = {
    **all_,
    "policy": "fixed",
    "architecture": "1",
    "initializer": tune.choice(["copy", "zero", "default"]),
    "placement": tune.choice(["between", "end"]),
}


def at(*shares: float) -> list[int]:
    """The epochs after these shares of the horizon."""
    return [round(share * EPOCHS) for share in shares]


param_space = [
    {  # one jump
        **grows,
        "growth_epochs": tune.choice([at(0.2), at(0.4), at(0.6), at(0.8)]),
        "growth_architectures": "4",
    },
    {  # doublings
        **grows,
        "growth_epochs": tune.choice([at(0.2, 0.4), at(0.3, 0.6), at(0.4, 0.8)]),
        "growth_architectures": "2 4",
    },
    {  # one block more each time
        **grows,
        "growth_epochs": tune.choice([at(0.1, 0.2, 0.3), at(0.2, 0.4, 0.6), at(0.25, 0.5, 0.75)]),
        "growth_architectures": "2 3 4",
    },
    {  # no growth
        **all_,
        "policy": "none",
        "architecture": tune.choice(["1", "2", "4"]),
    },
]
