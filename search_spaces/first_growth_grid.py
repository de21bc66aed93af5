"""LipGrow's Figure 4: a grid of first growth epochs, and LipGrow's own choice, three seeds each.

The second growth of the grid comes halfway between the first growth and the end.
"""

from ray import tune

EPOCHS = 30

all_ = {"architecture": "2-2-2", "epochs": EPOCHS, "lr": 0.1, "seed": tune.grid_search([0, 1, 2])}
growth_epochs = tune.grid_search([[first, (first + EPOCHS) // 2] for first in range(2, 25, 2)])

param_space = [
    {**all_, "policy": "lipschitz", "rtol": 1.05, "window": 2},
    {**all_, "policy": "fixed", "growth_epochs": growth_epochs},
]
