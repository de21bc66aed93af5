"""The referee study of a ResNet: when, how far and with which new weights should it grow?

The contested claims of gpt_referee.py on images: Fashion-MNIST with 14x14 pixels, of which 5,000
are trained on. All growing networks end as 4-4-4 after 3,130 steps. Only those that start as 2-2-2
can be copied or cloned, since the first block of a stage changes the shape. Beside them are static
networks: of one to four blocks a stage at equal steps, and 4-4-4 at fewer steps. There are 140
schedules and three seeds. Run it with --plugin examples/halved.py --dataset halved --test-per-class
100 --scheduler none --metric val_loss; analysis/referee.py makes the tables.
"""

from ray import tune

all_ = {
    "network": "basic3resnet",
    "train_size": 5000,
    "batch_size": 16,
    "epochs": 10,
    "lr": 0.05,
    "lr_schedule": tune.grid_search(["cosine", "wsd"]),
    "warmup": 1,
    "seed": tune.grid_search([0, 1, 2]),
}
grows = {**all_, "policy": "fixed", "momentum_on_growth": "carry"}
of_one = {
    **grows,
    "architecture": "1-1-1",
    "initializer": tune.grid_search(["zero", "default"]),
}
of_two = {**grows, "architecture": "2-2-2"}
places = {"placement": tune.grid_search(["between", "end"])}
states = {"momentum_on_growth": tune.grid_search(["carry", "reset"])}
one_jump = {
    "growth_epochs": tune.grid_search([[0.2], [0.5], [0.8]]),
    "growth_architectures": "4-4-4",
}
doublings = {
    "growth_epochs": tune.grid_search([[0.1, 0.2], [0.3, 0.6], [0.4, 0.8]]),
    "growth_architectures": "2-2-2 4-4-4",
}
from_one_to_four = {
    "growth_epochs": tune.grid_search([[0.1, 0.2, 0.3], [0.2, 0.4, 0.6]]),
    "growth_architectures": "2-2-2 3-3-3 4-4-4",
}
from_two_to_four = {
    "growth_epochs": tune.grid_search([[0.2, 0.4], [0.3, 0.6]]),
    "growth_architectures": "3-3-3 4-4-4",
}
static = {**all_, "policy": "none"}

param_space = [
    {**of_one, **one_jump, **states},
    {**of_one, **doublings, **places},
    {**of_one, **from_one_to_four},
    {
        **of_two,
        **one_jump,
        **places,
        "initializer": tune.grid_search(["copy", "zero", "default"]),
    },
    {**of_two, **one_jump, **states, "initializer": "clone"},
    {
        **of_two,
        **from_two_to_four,
        "initializer": tune.grid_search(["copy", "zero", "default", "clone"]),
    },
    {**static, "architecture": tune.grid_search(["1-1-1", "2-2-2", "3-3-3", "4-4-4"])},
    {**static, "architecture": "4-4-4", "epochs": tune.grid_search([4, 5, 6, 7, 8, 9])},
]
