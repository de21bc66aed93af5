"""LipGrow's Figure 5: sampled pairs of growth epochs, the hand-tuned pair, and LipGrow."""

import random
from itertools import combinations

from ray import tune

EPOCHS = 30
HAND_TUNED = [11, 20]  # in the proportion of 60 and 110 of 164 epochs
PAIRS = [list(pair) for pair in combinations(range(2, EPOCHS - 2), 2)]
SAMPLED = random.Random(0).sample([pair for pair in PAIRS if pair != HAND_TUNED], 16)

all_ = {"architecture": "2-2-2", "epochs": EPOCHS, "lr": 0.1}

param_space = [
    {**all_, "policy": "lipschitz", "rtol": 1.05, "window": 2},
    {**all_, "policy": "hand-tuned", "growth_epochs": HAND_TUNED},
    {**all_, "policy": "fixed", "growth_epochs": tune.grid_search(SAMPLED)},
]
