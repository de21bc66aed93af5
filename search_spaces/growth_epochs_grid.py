"""All 28 pairs of eight growth epochs, 2-2-2 to 4-4-4 to 8-8-8: what --store is for.

Trials that have grown alike so far share their epochs: growsearch plan says how many are distinct.
"""

from itertools import combinations

from ray import tune

param_space = {
    "policy": "fixed",
    "architecture": "2-2-2",
    "growth_epochs": tune.grid_search([list(pair) for pair in combinations(range(4, 36, 4), 2)]),
    "epochs": 40,
    "lr": 0.1,
}
