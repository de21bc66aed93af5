"""All 28 pairs of eight growth epochs, for growth from 2-2-2 to 4-4-4 to 8-8-8.

Trials share all epochs before their growths differ, so this grid shows the use of --store.
`growsearch plan` prints how many epochs are distinct.
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
