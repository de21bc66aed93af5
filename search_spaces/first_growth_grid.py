"""LipGrow's Figure 4: all first growth epochs, and LipGrow's own choice, three seeds each.

The second growth comes halfway between the first and the end.
"""

from ray import tune

EPOCHS = 30
FIRST_GROWTHS = range(2, 25, 2)

param_space = {
    "architecture": "2-2-2",
    "growth_epochs": tune.grid_search(
        [None, *([first, (first + EPOCHS) // 2] for first in FIRST_GROWTHS)]
    ),
    "policy": tune.sample_from(lambda spec: "fixed" if spec.config.growth_epochs else "lipschitz"),
    "rtol": tune.sample_from(lambda spec: None if spec.config.growth_epochs else 1.05),
    "window": tune.sample_from(lambda spec: None if spec.config.growth_epochs else 2),
    "epochs": EPOCHS,
    "lr": 0.1,
    "seed": tune.grid_search([0, 1, 2]),
}
