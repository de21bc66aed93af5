"""The ratio that LipGrow's rule compares with rtol, at each epoch of a recorded trial."""

import math
from collections.abc import Sequence

from growsearch.policies.lipgrow import lipschitz_ratio


def lipschitz_ratios(
    constants: Sequence[float], architectures: Sequence[str], window: int, first: int
) -> list[float]:
    """For each epoch, the mean of the last `window` constants over that of the `first` ones.

    Both means are of the epochs with the present architecture, as policy "lipschitz" has them:
    `first` is `window`, or 1 with baseline "first-epoch". NaN until the architecture has been
    trained for more than `window` epochs, where the rule decides nothing (LipGrow, section 4.2).
    """
    ratios: list[float] = []
    begin = 0
    for epoch, architecture in enumerate(architectures):
        if architecture != architectures[begin]:
            begin = epoch
        known = constants[begin : epoch + 1]
        ratios.append(lipschitz_ratio(known, window, first) if len(known) > window else math.nan)
    return ratios
