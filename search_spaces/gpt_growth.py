"""How to grow a GPT: in one late jump, by doublings or block by block, and with which new weights.

All networks end with four blocks of width 16 after 2,000 steps, but for the static ones, which
show what growth is compared with. A trial takes about 20 seconds on one core. Depth pays at this
size, and the learning rate is the best for four blocks (docs/results/late_growth.md). Run it with
--dataset bible, or with --data-dir text.txt. The front is that of training FLOPs and bits a byte.
"""

from ray import tune

all_ = {
    "task": "language",
    "epochs": 20,
    "steps_an_epoch": 100,
    "width": 16,
    "heads": 1,
    "batch_size": 16,
    "lr": 0.04,
    "warmup": 1,
    "final_lr": 0.0,
    "lr_schedule": tune.choice(["cosine", "wsd"]),
}
grows = {
    **all_,
    "policy": "fixed",
    "architecture": "1",
    "initializer": tune.choice(["copy", "zero", "default"]),
    "placement": tune.choice(["between", "end"]),
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
    {  # one block more each time
        **grows,
        "growth_epochs": tune.choice([[0.1, 0.2, 0.3], [0.2, 0.4, 0.6], [0.25, 0.5, 0.75]]),
        "growth_architectures": "2 3 4",
    },
    {  # no growth
        **all_,
        "policy": "none",
        "architecture": tune.choice(["1", "2", "4"]),
    },
]
