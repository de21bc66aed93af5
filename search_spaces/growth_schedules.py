"""LipGrow's Figure 5: sampled pairs of growth epochs, with hand-tuned and LipGrow beside them."""

import random
from itertools import combinations

from ray import tune

EPOCHS = 30
HAND_TUNED = [11, 20]  # 60 and 110 of 164 epochs, in that proportion
PAIRS = [list(pair) for pair in combinations(range(2, EPOCHS - 2), 2)]
SAMPLED = random.Random(0).sample([pair for pair in PAIRS if pair != HAND_TUNED], 16)


def policy(spec):
    growth_epochs = spec.config.growth_epochs
    if growth_epochs is None:
        return "lipschitz"
    return "hand-tuned" if growth_epochs == HAND_TUNED else "fixed"


param_space = {
    "architecture": "2-2-2",
    "growth_epochs": tune.grid_search([None, HAND_TUNED, *SAMPLED]),
    "policy": tune.sample_from(policy),
    "rtol": tune.sample_from(lambda spec: None if spec.config.growth_epochs else 1.05),
    "window": tune.sample_from(lambda spec: None if spec.config.growth_epochs else 2),
    "epochs": EPOCHS,
    "lr": 0.1,
}
